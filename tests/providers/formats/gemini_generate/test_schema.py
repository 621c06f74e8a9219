from __future__ import annotations

import json

import msgspec
import pytest

from providers.formats.base import FormatError
from providers.formats.gemini_generate.schema import from_gemini, to_gemini


def clean(schema):
    return to_gemini(msgspec.Raw(json.dumps(schema).encode()))


def prop(schema, **more):
    """Sanitise a schema as the one property of an object."""
    made = clean({"type": "object", "properties": {"x": schema}, **more})
    return made["properties"]["x"]


def test_t40_p51_what_gemini_refuses_is_said_another_way():
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "x",
        "type": "object",
        "additionalProperties": False,
        "required": ["kind", "gone"],
        "$defs": {"Point": {"type": "object", "properties": {"y": {"type": "number"}}}},
        "properties": {
            "kind": {"const": "circle"},
            "size": {"type": ["integer", "null"], "exclusiveMinimum": 0},
            "at": {"$ref": "#/$defs/Point", "description": "Where."},
            "who": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            "level": {"enum": [1, 2], "type": "integer"},
        },
    }
    assert clean(schema) == {
        "type": "OBJECT",
        "required": ["kind"],
        "properties": {
            "kind": {"type": "STRING", "enum": ["circle"]},
            "size": {"type": "INTEGER", "nullable": True, "minimum": 1},
            "at": {
                "type": "OBJECT",
                "description": "Where.",
                "properties": {"y": {"type": "NUMBER"}},
            },
            "who": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]},
            "level": {"type": "INTEGER", "description": "One of: 1, 2."},
        },
    }


def test_p51_an_object_without_properties_is_no_schema_at_all():
    assert clean({"type": "object", "properties": {}}) is None
    assert clean({}) is None


def test_p51_a_nested_object_that_takes_any_key_has_a_place_for_one():
    assert prop({"type": "object", "additionalProperties": {"type": "integer"}}) == {
        "type": "OBJECT",
        "properties": {
            "any_key": {"type": "INTEGER", "description": "Stands for any key."}
        },
    }


def test_a_choice_stands_alone_and_says_null_on_its_members():
    found = prop(
        {
            "description": "d",
            "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}],
        }
    )
    assert found == {
        "anyOf": [
            {"type": "STRING", "nullable": True, "description": "d"},
            {"type": "NUMBER", "nullable": True, "description": "d"},
        ]
    }
    assert prop({"anyOf": [{"type": "string"}, {"type": "null"}]}) == {
        "type": "STRING",
        "nullable": True,
    }
    assert prop({"type": ["string", "integer"]}) == {
        "anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]
    }


def test_all_of_is_joined():
    assert prop(
        {
            "allOf": [
                {
                    "type": "object",
                    "properties": {"a": {"type": "string"}},
                    "required": ["a"],
                },
                {"properties": {"b": {"type": "boolean"}}, "required": ["b"]},
            ]
        }
    ) == {
        "type": "OBJECT",
        "properties": {"a": {"type": "STRING"}, "b": {"type": "BOOLEAN"}},
        "required": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        (
            {"type": "array", "items": [{"type": "string"}, {"type": "number"}]},
            {
                "type": "ARRAY",
                "items": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]},
            },
        ),
        (
            {"type": "array", "prefixItems": [{"type": "string"}]},
            {"type": "ARRAY", "items": {"type": "STRING"}},
        ),
        (
            {"format": "date-time", "type": "string"},
            {"type": "STRING", "format": "date-time"},
        ),
        (
            {"format": "email", "type": "string"},
            {"type": "STRING", "description": "Format: email."},
        ),
        (
            {"type": "number", "exclusiveMaximum": 2.5},
            {"type": "NUMBER", "maximum": 2.5},
        ),
        ({"enum": ["a", None]}, {"type": "STRING", "nullable": True, "enum": ["a"]}),
        ({"const": True}, {"type": "BOOLEAN", "description": "One of: true."}),
        ({"const": 1.5}, {"type": "NUMBER", "description": "One of: 1.5."}),
        (True, {"type": "STRING"}),
        ({"$ref": "https://elsewhere/x"}, {"type": "STRING"}),
        ({"anyOf": [{"type": "null"}]}, {"type": "STRING", "nullable": True}),
    ],
)
def test_small_schemas(schema, made):
    assert prop(schema) == made


def test_what_contains_itself_ends_somewhere():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    made = prop({"$ref": "#/$defs/Node"}, **{"$defs": {"Node": node}})
    assert made["properties"]["next"]["type"] == "OBJECT"
    assert len(json.dumps(made)) < 2000


@pytest.mark.parametrize(
    "root",
    [
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]},
        {
            "type": "object",
            "properties": {name: {"$ref": "#"} for name in "abcdefgh"},
        },
    ],
)
def test_a_schema_that_would_grow_without_end_is_refused(root):
    with pytest.raises(FormatError):
        clean(root)


def test_what_is_no_schema_is_refused():
    for text in (b"[]", b"{", b"1"):
        with pytest.raises(FormatError):
            to_gemini(msgspec.Raw(text))
        with pytest.raises(FormatError):
            from_gemini(msgspec.Raw(text))


def test_the_subset_becomes_json_schema():
    schema = {
        "type": "OBJECT",
        "nullable": True,
        "propertyOrdering": ["a"],
        "properties": {
            "a": {"type": "STRING", "enum": ["x"], "nullable": True, "minLength": "2"},
            "b": {"any_of": [{"type": "STRING"}], "nullable": True},
            "c": {"type": "ARRAY", "items": {"type": "INTEGER"}},
        },
    }
    made = json.loads(bytes(from_gemini(msgspec.Raw(json.dumps(schema).encode()))))
    assert made == {
        "type": ["object", "null"],
        "properties": {
            "a": {"type": ["string", "null"], "enum": ["x", None], "minLength": 2},
            "b": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "c": {"type": "array", "items": {"type": "integer"}},
        },
    }
