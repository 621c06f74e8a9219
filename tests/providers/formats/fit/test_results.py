from __future__ import annotations

import pytest

from providers.formats.neutral.fit.results import FILE_FOLLOWS, MISSING, ORPHAN
from providers.formats.neutral.types import Media, Text, ToolResult
from tests.providers.formats.fit.made import (
    assistant,
    call,
    fitted,
    raw,
    request,
    result,
    results,
    shape,
    user,
    words,
)

PNG = "iVBORw0KGgoAAAANSUhEUgAA"
IMAGE = Media(kind="image", source="base64", data=PNG, media_type="image/png")


def test_t47_results_stand_together_before_what_the_user_said_next():
    asked = request(
        user("go"),
        assistant(call("a"), call("b"), call("c")),
        results(result("a")),
        results(result("b")),
        results(result("c")),
        user("and?"),
    )
    assert shape(fitted(asked)) == [
        ("user", ["go"]),
        ("assistant", ["call a", "call b", "call c"]),
        ("tool", ["result a", "result b", "result c"]),
        ("user", ["and?"]),
    ]


def test_t48_an_image_in_a_result_follows_the_whole_group():
    asked = request(
        user("go"),
        assistant(call("a"), call("b")),
        results(result("b", "text", IMAGE), result("a")),
        dialect="anthropic",
    )
    done = fitted(asked, "openai")
    assert shape(done)[2:] == [
        ("tool", ["result b", "result a"]),
        ("user", ["media"]),
    ]
    said = [part.text for part in done.request.turns[2].parts[0].content]
    assert said == ["text", FILE_FOLLOWS]
    kept = fitted(asked, "responses")
    assert kept.request.turns[2].parts[0].content == (Text(text="text"), IMAGE)


@pytest.mark.parametrize("to", ["google", "ollama"])
def test_t49_results_come_in_call_order_under_the_names_of_their_calls(to):
    asked = request(
        user("go"),
        assistant(call("a", "one"), call("b", "two")),
        results(result("b"), result("a", json=raw({"x": 1}))),
    )
    done = fitted(asked, to)
    answers = done.request.turns[2].parts
    assert [(each.call_id, each.name) for each in answers] == [
        ("a", "one"),
        ("b", "two"),
    ]
    assert bytes(answers[0].json) == b'{"x":1}'


def test_t50_a_missing_result_is_said_to_be_missing():
    asked = request(user("go"), assistant(call("a"), call("b")), results(result("b")))
    done = fitted(asked)
    made = done.request.turns[2].parts[-1]
    assert (made.call_id, made.is_error) == ("a", True)
    assert made.content == (Text(text=MISSING),)
    assert words(done) == {"messages.tool_result:emulate", "tools:emulate"}


def test_t50_a_result_nobody_asked_for_becomes_text():
    asked = request(user("go"), results(result("zzz", "found")), user("on"))
    done = fitted(asked)
    assert shape(done) == [("user", ["go", ORPHAN, "found", "on"])]
    assert words(done) == {"messages.tool_result:fold"}
    bare = request(user("go"), results(result("z", json=raw({"a": 1}))))
    words_of_object = fitted(bare, "openai").request.turns[1].parts
    assert [part.text for part in words_of_object] == [ORPHAN, "ok"]


def test_t50_of_two_results_the_last_counts():
    asked = request(
        user("go"), assistant(call("a")), results(result("a", "1"), result("a", "2"))
    )
    done = fitted(asked, "openai")
    (only,) = done.request.turns[2].parts
    assert only.content == (Text(text="2"),)
    assert words(done) == {"messages.tool_result:drop"}


def test_a_late_result_goes_to_its_call():
    asked = request(
        user("go"),
        assistant(call("a")),
        user("wait"),
        assistant("yes"),
        results(result("a")),
    )
    assert [role for role, _ in shape(fitted(asked, "openai"))] == [
        "user",
        "assistant",
        "tool",
        "user",
        "assistant",
    ]


def test_calls_of_split_turns_are_joined_with_their_results_behind():
    asked = request(
        user("go"), assistant(call("a")), assistant(call("b")), results(result("a"))
    )
    assert shape(fitted(asked, "openai"))[1:] == [
        ("assistant", ["call a", "call b"]),
        ("tool", ["result a", "result b"]),
    ]


def test_results_among_a_users_words_are_taken_out():
    asked = request(user("go"), assistant(call("a")), user(result("a"), "more"))
    assert shape(fitted(asked))[1:] == [
        ("assistant", ["call a"]),
        ("tool", ["result a"]),
        ("user", ["more"]),
    ]


def test_results_without_ids_are_matched_by_name_and_order():
    asked = request(
        user("go"),
        assistant(call("", "one"), call("", "two"), call("", "one")),
        results(
            result("", "1", name="one"),
            result("", "2", name="two"),
            result("", "3", name="one"),
        ),
        dialect="google",
    )
    done = fitted(asked)
    calls, answers = done.request.turns[1].parts, done.request.turns[2].parts
    ids = [each.id for each in calls]
    assert all(each.startswith("call_") for each in ids)
    assert len(set(ids)) == 3
    assert [each.call_id for each in answers] == ids
    assert [each.content[0].text for each in answers] == ["1", "2", "3"]
    again = fitted(asked)
    assert again == done


def test_ids_that_repeat_are_told_apart():
    asked = request(
        user("go"),
        assistant(call("a")),
        results(result("a", "1")),
        assistant(call("a")),
        results(result("a", "2")),
    )
    turns = fitted(asked).request.turns
    first, second = turns[1].parts[0].id, turns[3].parts[0].id
    assert first == "a"
    assert second != "a"
    assert turns[4].parts[0].call_id == second
    assert turns[2].parts[0].content == (Text(text="1"),)


@pytest.mark.parametrize("given", ["toolu_1:x", "a b", "x" * 300, "ä"])
def test_illegal_ids_are_mapped_from_the_original_alone(given):
    def sent(*before):
        turns = fitted(
            request(*before, assistant(call(given)), results(result(given)))
        ).request.turns
        return turns[-2].parts[0].id, turns[-1].parts[0].call_id

    first, answer = sent(user("a"))
    assert first == answer != given
    assert first.replace("_", "").isalnum()
    assert first.isascii()
    assert sent(user("other"), assistant("text"), user("b"))[0] == first


def test_mistral_gets_nine_letters_and_digits():
    asked = request(
        user("go"), assistant(call("call_abc")), results(result("call_abc"))
    )
    done = fitted(asked, "openai", "mistral-large", provider="mistral")
    made = done.request.turns[1].parts[0].id
    assert len(made) == 9
    assert made.isalnum()
    kept = request(
        user("go"), assistant(call("Ab3dEf6hI")), results(result("Ab3dEf6hI"))
    )
    done = fitted(kept, "openai", "mistral-large", provider="mistral")
    assert done.request.turns[1].parts[0].id == "Ab3dEf6hI"


def test_two_calls_of_one_turn_with_one_id_are_answered_in_order():
    asked = request(
        user("go"),
        assistant(call("a"), call("a")),
        results(result("a", "1"), result("a", "2")),
    )
    for to in ("anthropic", "google"):
        answers = fitted(asked, to).request.turns[2].parts
        assert [each.content[0].text for each in answers] == ["1", "2"]


def test_an_object_nobody_asked_for_becomes_its_json():
    orphan = ToolResult(call_id="z", json=raw({"a": 1}))
    done = fitted(request(user("go"), results(orphan)))
    assert shape(done) == [("user", ["go", ORPHAN, '{"a":1}'])]


def test_t49_without_ids_order_tells_whose_name_a_result_has():
    asked = request(
        user("go"),
        assistant(call("", "a.b"), call("", "a/b"), call("", "a.b")),
        results(
            result("", "1", name="a.b"),
            result("", "2", name="a/b"),
            result("", "3", name="a.b"),
        ),
        dialect="google",
    )
    done = fitted(asked, "ollama").request
    calls = [each.name for each in done.turns[1].parts]
    assert [each.name for each in done.turns[2].parts] == calls
    assert calls[0] != calls[1]
    late = request(user("go"), results(result("", "x", name="gone")), dialect="google")
    assert shape(fitted(late, "ollama")) == [("user", ["go"]), ("user", [ORPHAN, "x"])]
