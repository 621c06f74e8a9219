from __future__ import annotations

import pytest

from providers.formats.neutral.events import Delta, End, Finish, PartOpen, Start
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.restore import Restore
from providers.formats.neutral.types import OutputFormat, Text
from tests.providers.formats.fit.made import fitted, raw, request, tool


def answered(done, *calls):
    """Return the parts and the finish a client gets for some calls on the wire."""
    events = [Start(id="r")]
    for pos, (name, pieces) in enumerate(calls):
        events.append(PartOpen(pos=pos, kind="tool_call", id=f"c{pos}", name=name))
        events += [Delta(pos=pos, text=piece) for piece in pieces]
    events += [Finish(reason="tool_calls"), End()]
    answer = gather(Restore(done).feed(Repair().feed(events)))
    (choice,) = answer.choices
    return choice.parts, choice.finish.reason


@pytest.mark.parametrize("name", ["my.tool:v1/x", "y" * 90])
def test_t43_a_renamed_tool_is_called_by_its_own_name(name):
    done = fitted(request(tools=(tool(name),)), "openai")
    parts, reason = answered(done, (done.request.tools[0].name, ["{", "}"]))
    assert [(part.name, part.arguments) for part in parts] == [(name, "{}")]
    assert reason == "tool_calls"


def test_t55_the_answer_that_came_as_a_call_is_text_again():
    schema = raw({"type": "object"})
    asked = request(output=OutputFormat(kind="schema", schema=schema))
    done = fitted(asked, "anthropic", "claude-sonnet-4")
    parts, reason = answered(done, (done.json_tool, ['{"a"', ":1}"]))
    assert parts == (Text(text='{"a":1}'),)
    assert reason == "end"


def test_t66_a_freeform_tool_gets_its_free_text():
    asked = request(tools=(tool("apply_patch", kind="custom"),), dialect="responses")
    done = fitted(asked, "openai")
    (part,), _ = answered(done, ("apply_patch", ['{"input":"*** Be', 'gin\\n"}']))
    assert (part.kind, part.name) == ("custom", "apply_patch")
    assert part.arguments == "*** Begin\n"


def test_t67_a_flattened_tool_is_back_in_its_namespace():
    tools = (tool("search", namespace="mail"), tool("search", namespace="files"))
    done = fitted(request(tools=tools, dialect="responses"))
    parts, _ = answered(done, ("files__search", ["{}"]), ("mail__search", ["{}"]))
    assert [(part.namespace, part.name) for part in parts] == [
        ("files", "search"),
        ("mail", "search"),
    ]
