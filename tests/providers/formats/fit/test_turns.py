from __future__ import annotations

import pytest
from msgspec.structs import replace

from providers.formats.neutral.types import CacheMark, Refusal, Text
from tests.providers.formats.fit.made import (
    assistant,
    call,
    fitted,
    request,
    result,
    results,
    shape,
    system,
    user,
    words,
)

BILLING = "x-anthropic-billing-header: cc_version=1"


def test_t28_leading_instructions_stay_blocks_in_order():
    lead = (system("a", authority="developer"), system("b"), system("c"))
    done = fitted(request(instructions=lead))
    texts = [turn.parts[0].text for turn in done.request.instructions]
    assert texts == ["a", "b", "c"]
    assert {turn.authority for turn in done.request.instructions} == {"system"}
    same = fitted(request(instructions=lead), "openai").request.instructions
    assert same == lead


def test_t29_instruction_in_the_middle_is_folded_behind_the_results():
    asked = request(
        user("go"), assistant(call()), system("be brief"), results(result()), user("on")
    )
    done = fitted(asked)
    assert shape(done) == [
        ("user", ["go"]),
        ("assistant", ["call c1"]),
        ("tool", ["result c1"]),
        ("user", ["on", "<system-reminder>\nbe brief\n</system-reminder>"]),
    ]
    assert "messages.system:fold" in words(done)


def test_t29_instruction_after_the_last_user_turn_joins_it():
    done = fitted(request(user("go"), system("now")))
    assert shape(done) == [
        ("user", ["go", "<system-reminder>\nnow\n</system-reminder>"])
    ]


def test_t29_instruction_between_two_answers_is_a_turn_of_its_own():
    done = fitted(request(user("a"), assistant("b"), system("c"), assistant("d")))
    assert [role for role, _ in shape(done)] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]


def test_t30_instruction_in_the_middle_stays_for_chat():
    asked = request(user("a"), system("b"), dialect="anthropic")
    done = fitted(asked, "openai")
    assert done.request.turns == asked.turns
    assert not done.losses


def test_newest_claude_takes_system_in_the_middle_but_not_first():
    asked = request(system("first"), user("a"), system("b"))
    done = fitted(asked, "anthropic", "claude-opus-5")
    assert [turn.role for turn in done.request.turns] == ["user", "instruction"]
    assert done.request.instructions[-1].parts[0].text == "first"


def test_t31_billing_header_is_removed_but_for_anthropic():
    lead = (system(BILLING), system("You are Claude Code."))
    asked = request(instructions=lead, dialect="anthropic")
    done = fitted(asked, "openai")
    assert [turn.parts[0].text for turn in done.request.instructions] == [
        "You are Claude Code."
    ]
    assert words(done) == {"system:drop"}
    assert fitted(asked, "anthropic").request.instructions == lead


def test_t32_neighbours_of_one_role_are_merged_with_their_parts():
    mark = Text(text="b", cache=CacheMark())
    done = fitted(request(user("a"), user(mark), assistant("c"), assistant("d")))
    assert shape(done) == [("user", ["a", "b"]), ("assistant", ["c", "d"])]
    assert done.request.turns[0].parts[1] == mark
    apart = fitted(request(user("a"), user("b")), "openai")
    assert len(apart.request.turns) == 2


@pytest.mark.parametrize("to", ["google", "anthropic", "bedrock"])
def test_t33_a_first_turn_of_the_assistant_is_padded(to):
    done = fitted(request(assistant("hello"), user("hi")), to)
    assert shape(done)[0] == ("user", ["."])


@pytest.mark.parametrize("to", ["google", "anthropic", "bedrock"])
def test_a_conversation_of_instructions_alone_gets_a_turn(to):
    asked = replace(request(instructions=(system("a"),)), turns=())
    assert shape(fitted(asked, to)) == [("user", ["."])]


def test_t34_empty_text_is_dropped_and_an_empty_user_gets_a_placeholder():
    asked = request(
        user("", "a", " \n"), assistant(""), user("  "), assistant("", call())
    )
    done = fitted(asked)
    assert shape(done) == [
        ("user", ["a", "(empty)"]),
        ("assistant", ["call c1"]),
        ("tool", ["result c1"]),
    ]


def test_white_space_stays_where_it_is_allowed():
    done = fitted(request(user(" "), assistant("")), "openai")
    assert shape(done) == [("user", [" "])]


def test_names_are_dropped_where_nobody_knows_them():
    asked = request(user("a", name="bob"))
    assert words(fitted(asked)) == {"messages.name:drop"}
    assert fitted(asked).request.turns[0].name == ""
    assert fitted(asked, "openai").request.turns[0].name == "bob"


def test_developer_becomes_system_for_servers_that_know_no_developer():
    asked = request(user("a"), system("b", authority="developer"), user("c"))
    done = fitted(asked, "openai", "llama-3", provider="together")
    assert done.request.turns[1].authority == "system"


def test_prefill_is_kept_trimmed_or_answered():
    asked = request(user("a"), assistant("b \n"))
    assert shape(fitted(asked))[-1] == ("assistant", ["b"])
    assert shape(fitted(asked, "openai"))[-1] == ("assistant", ["b \n"])
    done = fitted(asked, "anthropic", "claude-opus-4-6")
    assert shape(done)[-1] == ("user", ["Continue."])
    assert words(done) == {"messages.prefill:emulate"}


def test_a_refusal_becomes_text_where_it_has_no_part():
    asked = request(user("a"), assistant(Refusal(text="no")), user("b"))
    assert shape(fitted(asked))[1] == ("assistant", ["no"])
    assert shape(fitted(asked, "openai"))[1] == ("assistant", ["refusal"])
