from __future__ import annotations

import pytest

from providers.formats.base import FormatError
from providers.formats.neutral.fit.parts import lineage
from providers.formats.neutral.types import Opaque, Reasoning, State, Unknown
from tests.providers.formats.fit.made import (
    assistant,
    call,
    fitted,
    raw,
    request,
    result,
    results,
    shape,
    tool,
    user,
    words,
)


def opaque(family, slot="signature", **more):
    return Opaque(family=family, slot=slot, data="x", **more)


@pytest.mark.parametrize(
    ("state", "field"),
    [
        (State(previous_id="resp_1"), "previous_response_id"),
        (State(conversation="conv_1"), "conversation"),
        (State(background=True), "background"),
    ],
    ids=["t65", "conversation", "background"],
)
def test_state_only_the_vendor_keeps_is_refused_elsewhere(state, field):
    asked = request(state=state, dialect="responses")
    with pytest.raises(FormatError) as caught:
        fitted(asked, "openai")
    assert caught.value.param == field
    assert fitted(asked, "responses").request.state == state


def test_t65_references_to_items_are_refused_elsewhere():
    item = Unknown(dialect="responses", type="item_reference", payload=raw({}))
    asked = request(user("a", item), dialect="responses")
    with pytest.raises(FormatError) as caught:
        fitted(asked)
    assert caught.value.param == "input"
    assert fitted(asked, "responses").request.turns == asked.turns


def test_t69_reasoning_of_another_account_goes_with_the_ids_that_hang_on_it():
    proof = opaque("openai", "encrypted", scope="account-1")
    turn = assistant(
        Reasoning(opaque=(proof,), item_id="rs_1"), call(item_id="fc_1"), id="msg_1"
    )
    asked = request(
        user("go"), turn, results(result()), tools=(tool(),), dialect="responses"
    )
    kept = fitted(asked, "responses", scope="account-1")
    assert kept.request.turns[1] == turn
    done = fitted(asked, "responses", scope="account-2")
    assert done.request.turns[1] == assistant(call())
    assert words(done) == {"reasoning:drop"}


def test_t70_words_of_the_assistant_stay_words():
    asked = request(
        user("a"), assistant("b", id="msg_1", phase="final_answer"), dialect="responses"
    )
    assert fitted(asked, "responses").request.turns == asked.turns
    assert fitted(asked, "openai").request.turns == (user("a"), assistant("b"))


@pytest.mark.parametrize("to", ["google", "openai", "responses", "bedrock"])
def test_t71_proof_of_another_family_is_dropped_never_shown(to):
    thought = Reasoning(text="secret plan", opaque=(opaque("anthropic"),))
    asked = request(user("a"), assistant(thought, "b"), user("c"), dialect="anthropic")
    model = "amazon.nova-pro-v1:0" if to == "bedrock" else ""
    done = fitted(asked, to, model)
    assert shape(done)[1] == ("assistant", ["b"])
    assert "secret plan" not in repr(done.request)
    assert words(done) == {"reasoning:drop"}
    kept = fitted(asked, "anthropic")
    assert kept.request.turns == asked.turns


def test_plain_reasoning_goes_where_it_is_read():
    thought = Reasoning(text="plan", opaque=(opaque("anthropic"),))
    asked = request(user("a"), assistant(thought, "b"), user("c"))
    for to, model, provider in (
        ("ollama", "", ""),
        ("openai", "deepseek-reasoner", "deepseek"),
    ):
        done = fitted(asked, to, model, provider=provider)
        assert done.request.turns[1].parts[0] == Reasoning(text="plan")


def test_proof_of_another_model_is_not_sent():
    thought = Reasoning(opaque=(opaque("anthropic", model="claude-opus-4-5"),))
    asked = request(user("a"), assistant(thought, "b"), user("c"))
    assert words(fitted(asked)) == {"reasoning:drop"}
    mine = Reasoning(opaque=(opaque("anthropic", model="claude-sonnet-4-5-20250929"),))
    asked = request(user("a"), assistant(mine, "b"), user("c"))
    assert fitted(asked).request.turns == asked.turns


def test_t72_a_foreign_signature_is_taken_off_a_call():
    signed = call(opaque=(opaque("google", "thought_signature"),))
    asked = request(user("a"), assistant(signed), results(result()), tools=(tool(),))
    assert fitted(asked, "openai").request.turns[1].parts[0].opaque == ()
    kept = fitted(asked, "google", "gemini-3-pro-preview").request.turns[1]
    assert kept.parts[0].opaque == signed.opaque


@pytest.mark.parametrize(
    "name",
    [
        "claude-opus-4-5",
        "claude-opus-4-5-20251101",
        "us.anthropic.claude-opus-4-5-20251101-v1:0",
        "claude-opus-4-5@20251101",
        "claude-opus-4-5[1m]",
        "anthropic/claude-opus-4-5",
    ],
)
def test_a_snapshot_is_of_the_same_lineage(name):
    assert lineage(name) == "claude-opus-4-5"


def test_parts_of_other_dialects_are_left_out_and_named():
    odd = Unknown(dialect="anthropic", type="search_result", payload=raw({}))
    asked = request(
        user("a", odd),
        assistant(call(), call("s", kind="server", name="web_search")),
        results(result("c1", "x", odd), result("s", kind="server", name="web_search")),
        tools=(tool(),),
        dialect="anthropic",
    )
    done = fitted(asked, "openai")
    assert shape(done) == [
        ("user", ["a"]),
        ("assistant", ["call c1"]),
        ("tool", ["result c1"]),
    ]
    assert words(done) == {"messages.search_result:drop", "messages.web_search:drop"}
    kept = fitted(asked)
    assert odd in kept.request.turns[0].parts


def test_t75_the_end_user_stays_as_it_came():
    asked = request(end_user='{"account_uuid":"a"}', dialect="anthropic")
    assert fitted(asked).request.end_user == asked.end_user
    assert fitted(asked, "openai").request.end_user == asked.end_user
    assert words(fitted(asked, "google")) == {"user:drop"}


def test_fields_an_upstream_has_no_word_for_are_named():
    asked = request(
        ext={"prediction": raw({})},
        metadata={"a": "b"},
        verbosity="low",
        cache_key="k",
        service_tier="flex",
        state=State(
            store=True,
            include=("web_search_call.results", "reasoning.encrypted_content"),
        ),
    )
    done = fitted(asked)
    assert words(done) == {
        f"{name}:drop"
        for name in (
            "prediction",
            "metadata",
            "verbosity",
            "prompt_cache_key",
            "service_tier",
            "store",
            "include",
        )
    }
    assert done.request.state is None
    kept = fitted(asked, "responses").request
    assert (kept.metadata, kept.cache_key) == ({"a": "b"}, "k")
    assert kept.state == asked.state
    assert fitted(asked, "openai").request.state == State(store=True)


def test_tiers_are_said_in_the_vendors_words():
    def tier(word, to):
        done = fitted(request(service_tier=word), to)
        return done.request.service_tier, words(done)

    assert tier("default", "anthropic") == ("standard_only", set())
    assert tier("standard_only", "openai") == ("default", set())
    assert tier("auto", "google") == ("", set())
    assert tier("priority", "bedrock") == ("priority", set())


def test_sounds_and_pictures_a_model_does_not_make_are_refused():
    asked = request(modalities=("text", "audio"))
    with pytest.raises(FormatError) as caught:
        fitted(asked)
    assert caught.value.param == "modalities"
    spoken = fitted(asked, "openai", "gpt-4o-audio-preview")
    assert spoken.request.modalities == ("text", "audio")
