from __future__ import annotations

import msgspec

from providers.formats.neutral.types import OutputFormat
from tests.providers.formats.fit.made import fitted, raw, request, tool, words

OPEN = {
    "type": "object",
    "properties": {
        "minimum": {"type": "integer", "minimum": 1},
        "list": {"type": "array", "items": {"properties": {}}, "minItems": 2},
        "either": {"anyOf": [{"type": "object"}, True]},
    },
    "$defs": {"a": {"type": "object", "additionalProperties": {"type": "string"}}},
    "required": ["minimum"],
}
CLOSED = {
    "type": "object",
    "properties": {
        "minimum": {"type": "integer"},
        "list": {
            "type": "array",
            "items": {"properties": {}, "additionalProperties": False},
        },
        "either": {"anyOf": [{"type": "object", "additionalProperties": False}, True]},
    },
    "$defs": {"a": {"type": "object", "additionalProperties": False}},
    "required": ["minimum"],
    "additionalProperties": False,
}


def _asked(schema):
    return request(output=OutputFormat(kind="schema", name="a", schema=schema))


def test_a_schema_claude_enforces_is_closed_and_what_it_refuses_is_named():
    done = fitted(_asked(raw(OPEN)))
    assert msgspec.json.decode(done.request.output.schema) == CLOSED
    assert words(done) == {
        "response_format.minimum:drop",
        "response_format.minItems:drop",
        "response_format.additionalProperties:drop",
    }
    assert fitted(_asked(raw(OPEN)), "openai").request.output.schema == raw(OPEN)


def test_a_schema_that_is_fine_or_unreadable_stays_as_it_is():
    for schema in (raw(CLOSED), msgspec.Raw(b"{"), msgspec.Raw(b"[" * 5000)):
        assert fitted(_asked(schema)).request.output.schema is schema


def test_strict_tools_of_claude_have_closed_schemas_too():
    asked = request(tools=(tool("a", strict=True, schema=raw(OPEN)),))
    done = fitted(asked)
    assert msgspec.json.decode(done.request.tools[0].schema) == CLOSED
    assert "tools.a.minItems:drop" in words(done)
    bare = request(tools=(tool("a", strict=True),))
    assert fitted(bare).request == fitted(fitted(bare).request).request
    loose = request(tools=(tool("a", schema=raw(OPEN)),))
    assert fitted(loose).request.tools[0].schema == raw(OPEN)
