from __future__ import annotations

from providers.formats.neutral.types import CacheMark, Text
from tests.providers.formats.fit.made import (
    assistant,
    call,
    fitted,
    request,
    result,
    results,
    system,
    tool,
    user,
    words,
)

MARK = CacheMark()
HOUR = CacheMark(ttl="1h")


def text(words_, mark=MARK):
    return Text(text=words_, cache=mark)


def marks(done):
    found = [each.name for each in done.request.tools if each.cache]
    for turn in (*done.request.instructions, *done.request.turns):
        for part in turn.parts:
            if isinstance(part, Text) and part.cache:
                found.append(part.text)
            elif getattr(part, "cache", None):
                found.append(type(part).__name__)
            for each in getattr(part, "content", ()):
                if each.cache:
                    found.append(each.text)
    return found


def test_t63_the_most_useful_four_marks_are_kept():
    asked = request(
        user(text("u1")),
        assistant(text("a1")),
        user(text("u2")),
        tools=(tool("t1", cache=MARK), tool("t2", cache=MARK)),
        instructions=(system(text("s1")), system(text("s2"))),
    )
    done = fitted(asked)
    assert marks(done) == ["t2", "s2", "a1", "u2"]
    assert words(done) == {"cache_control:drop"}


def test_t63_marks_on_messages_alone_may_take_all_the_room():
    asked = request(*(user(text(f"u{number}")) for number in range(6)))
    assert marks(fitted(asked)) == ["u2", "u3", "u4", "u5"]


def test_t63_marks_on_results_and_calls_count_too():
    asked = request(
        user(text("u")),
        assistant(call("a", cache=MARK)),
        results(result("a", text("r"), cache=MARK)),
        user(text("v"), text("w")),
        tools=(tool(),),
    )
    done = fitted(asked)
    assert len(marks(done)) == 4
    assert marks(done)[-2:] == ["v", "w"]


def test_an_automatic_mark_takes_one_of_the_four():
    asked = request(*(user(text(f"u{number}")) for number in range(4)), cache=MARK)
    done = fitted(asked)
    assert marks(done) == ["u1", "u2", "u3"]
    assert done.request.cache == MARK


def test_a_long_mark_after_a_short_one_becomes_short():
    asked = request(user(text("a")), user(text("b", HOUR)))
    done = fitted(asked)
    (turn,) = done.request.turns
    assert [part.cache for part in turn.parts] == [MARK, MARK]
    assert words(done) == {"cache_control.ttl:clamp"}
    kept = fitted(request(user(text("a", HOUR)), user(text("b"))))
    assert not kept.losses


def test_t64_marks_go_to_bedrock_and_not_to_chat():
    asked = request(user(text("a")), cache=MARK)
    assert marks(fitted(asked, "bedrock")) == ["a"]
    done = fitted(asked, "openai")
    assert marks(done) == []
    assert done.request.cache is None
    assert words(done) == {"cache_control:drop"}
