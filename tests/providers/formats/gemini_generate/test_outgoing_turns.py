from __future__ import annotations

import pytest

from providers.formats.base import Target
from providers.formats.neutral.fit.fitted import fit
from providers.formats.neutral.types import (
    Media,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    ToolResult,
    Turn,
    Unknown,
)
from tests.providers.formats.gemini_generate.gemini import (
    NEW,
    SKIP,
    assistant,
    body_of,
    call,
    caps,
    fitted,
    raw,
    request,
    result,
    results,
    sent,
    user,
    words,
)


def test_t33_a_conversation_begins_with_the_user():
    first, second = body_of(request(assistant(Text(text="Hi"))))["contents"]
    assert first["role"] == "user"
    assert second == {"role": "model", "parts": [{"text": "Hi"}]}


def test_turns_of_one_side_become_one_content():
    turns = user("a"), user("b"), assistant(Text(text="c")), assistant(Text(text="d"))
    first, second = body_of(request(*turns))["contents"]
    assert first["parts"] == [{"text": "a"}, {"text": "b"}]
    assert second["parts"] == [{"text": "c"}, {"text": "d"}]


def test_leading_instructions_are_parts_in_their_order():
    leading = tuple(
        Turn(role="instruction", parts=(Text(text=text),)) for text in ("a", "b")
    )
    body = body_of(request(instructions=leading))
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}


def test_t49_p34_parallel_answers_are_one_content_of_objects():
    made = request(
        user("x"),
        assistant(call(), call("g", "c2"), call("h", "c3")),
        results(
            result("plain"),
            result('{"k": 1e3}', "c2"),
            result("bad", "c3", is_error=True),
        ),
        user("go on"),
    )
    *_, last = body_of(made)["contents"]
    answers = [part["functionResponse"] for part in last["parts"][:3]]
    assert answers == [
        {"name": "f", "id": "c1", "response": {"result": "plain"}},
        {"name": "g", "id": "c2", "response": {"k": 1000.0}},
        {"name": "h", "id": "c3", "response": {"error": "bad"}},
    ]
    assert last["parts"][3:] == [{"text": "go on"}]


def test_t49_p33_missing_answers_are_made_up_and_all_stand_in_call_order():
    made = request(
        user("x"),
        assistant(call(), call("g", "c2")),
        results(result("second", "c2")),
    )
    *_, last = body_of(fitted(made, NEW), NEW)["contents"]
    assert [part["functionResponse"]["name"] for part in last["parts"]] == ["f", "g"]
    assert "error" in last["parts"][0]["functionResponse"]["response"]


@pytest.mark.parametrize("text", ["[1]", "7", '"x"', "", "{", "null"])
def test_p34_what_is_no_object_is_wrapped(text):
    turns = user("x"), assistant(call()), results(result(text))
    (part,) = body_of(request(*turns))["contents"][-1]["parts"]
    assert part["functionResponse"]["response"] == {"result": text}


def test_pictures_of_tools_stand_behind_the_group_or_inside_new_models_answers():
    picture = Media(kind="image", source="base64", data="aGk=", media_type="image/png")
    answer = ToolResult(call_id="c1", content=(Text(text="see"), picture))
    turns = user("x"), assistant(call()), results(answer)
    wire = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    old = body_of(request(*turns), known=caps("gemini-2.5-flash"))["contents"][-1][
        "parts"
    ]
    assert old[1] == wire
    (new,) = body_of(request(*turns), NEW)["contents"][-1]["parts"]
    assert new["functionResponse"]["parts"] == [wire]


def signatures(*turns, model=NEW, **more):
    """Return the signatures of all calls, in order."""
    return [
        part.get("thoughtSignature")
        for content in body_of(request(*turns, **more), model)["contents"]
        for part in content["parts"]
        if "functionCall" in part
    ]


def test_t72_p58_a_foreign_call_of_the_current_turn_carries_the_skip_value():
    turns = (
        user("x"),
        assistant(call(), call("g", "c2")),
        results(result("1"), result("2", "c2")),
    )
    assert signatures(*turns) == [SKIP, None]
    assert signatures(
        *turns, assistant(call("h", "c3")), results(result("3", "c3"))
    ) == [
        SKIP,
        None,
        SKIP,
    ]


def test_t72_calls_of_earlier_turns_and_older_models_need_none():
    turns = user("x"), assistant(call()), results(result("1"))
    assert signatures(*turns, assistant(Text(text="ok")), user("y")) == [None]
    assert signatures(*turns, model="gemini-2.5-flash") == [None]


def test_t72_googles_own_signature_goes_back_to_the_model_that_made_it():
    def proven(model):
        opaque = Opaque(
            family="google", slot="thought_signature", data="s", model=model
        )
        return user("x"), assistant(call(opaque=(opaque,))), results(result("1"))

    assert signatures(*proven(NEW)) == ["s"]
    assert signatures(*proven("")) == ["s"]
    assert signatures(*proven("gemini-3-flash")) == [SKIP]


def test_t71_reasoning_of_others_is_not_shown_as_text():
    thought = Reasoning(
        text="secret", opaque=(Opaque(family="anthropic", slot="signature", data="s"),)
    )
    encoded, body = sent(request(user("x"), assistant(thought, Text(text="Hi"))))
    assert body["contents"][1]["parts"] == [{"text": "Hi"}]
    assert "reasoning:drop" in words(encoded.losses)


def test_t71_googles_own_reasoning_goes_back():
    opaque = Opaque(family="google", slot="thought_signature", data="s")
    turn = assistant(
        Reasoning(text="Hm", opaque=(opaque,)), Reasoning(opaque=(opaque,))
    )
    assert body_of(request(user("x"), turn))["contents"][1]["parts"] == [
        {"text": "Hm", "thought": True, "thoughtSignature": "s"},
        {"text": "", "thoughtSignature": "s"},
    ]


def test_media_of_every_kind():
    turn = Turn(
        role="user",
        parts=(
            Media(kind="image", source="base64", data="aGk=", detail="low"),
            Media(kind="document", source="text", data="body", title="Head"),
            Media(kind="video", source="url", data="https://youtu.be/x"),
            Media(
                kind="document",
                source="gs",
                data="gs://b/o",
                media_type="application/pdf",
            ),
            Refusal(text="No."),
            Unknown(dialect="anthropic", type="container", payload=raw({})),
            Unknown(
                dialect="google",
                type="executableCode",
                payload=raw({"executableCode": {}}),
            ),
        ),
    )
    encoded, body = sent(request(turn))
    assert body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/jpeg", "data": "aGk="}},
        {"text": "Head\n\nbody"},
        {"fileData": {"fileUri": "https://youtu.be/x"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/o"}},
        {"text": "No."},
        {"executableCode": {}},
    ]
    assert words(encoded.losses) == {"detail:drop", "content.container:drop"}


def test_t36_a_fetched_picture_goes_inline():
    from providers.formats.base import Fetched

    picture = Media(kind="image", source="url", data="https://a.example/x.png")
    made = request(Turn(role="user", parts=(picture,)))
    fetched = {"https://a.example/x.png": Fetched("image/png", "aGk=")}
    known = caps(NEW)
    found = fit(made, Target(model=NEW), known, fetched).request
    (part,) = body_of(found, NEW)["contents"][0]["parts"]
    assert part == {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
