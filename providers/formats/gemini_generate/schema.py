"""Turn JSON schema into the subset Gemini's older field takes, and back.

``parameters`` and ``responseSchema`` take a part of OpenAPI 3.0: upper-case types, no
references, no ``const``, no numeric ``enum``. What has no word there is said as well as
it can be: a reference is written out, ``oneOf`` becomes ``anyOf``, an exact value an
enum of one, and what only words can carry goes into the description.

Source: reference wire 1.5 (schema subset), P51; the refusals of ``any_of`` beside other
fields and of string formats are those of Vertex, seen 2025.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from providers.formats.base import UNREADABLE, FormatError

_DEEPEST: Final = 64
_DEEPEST_REF: Final = 8
_MOST_NODES: Final = 20_000
_COPIED: Final = (
    "title",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "pattern",
    "default",
    "example",
)
_FORMATS: Final = {
    "STRING": frozenset({"enum", "date-time"}),
    "NUMBER": frozenset({"float", "double"}),
    "INTEGER": frozenset({"int32", "int64"}),
}
_COUNTS: Final = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)
_ONLY_GEMINI: Final = frozenset(
    {"nullable", "propertyOrdering", "property_ordering", "example"}
)
_OPEN_PROPERTY: Final = "any_key"

Node = dict[str, Any]


def to_gemini(schema: msgspec.Raw) -> Node | None:
    """Return a schema in Gemini's subset; None for an object without properties.

    Errors:  FormatError for what is no schema or nested beyond any use.
    """
    try:
        value = msgspec.json.decode(schema)
    except UNREADABLE:
        raise _refused() from None
    if not isinstance(value, dict):
        raise _refused()
    sanitiser = _Sanitiser(value)
    value = sanitiser.merged(value, 0)
    if _is_object(value) and not value.get("properties"):
        return None
    return sanitiser.node(value, 0)


def from_gemini(schema: msgspec.Raw) -> msgspec.Raw:
    """Return a schema of Gemini's subset as JSON schema.

    Errors:  FormatError for what is no schema.
    """
    try:
        value = msgspec.json.decode(schema)
    except UNREADABLE:
        raise _refused() from None
    if not isinstance(value, dict):
        raise _refused()
    return msgspec.Raw(msgspec.json.encode(_to_json_schema(value, 0)))


class _Sanitiser:
    """Write one schema in the subset; ``root`` holds what its references name."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._left = _MOST_NODES

    def node(self, value: Any, depth: int) -> Node:
        """Return one sanitised schema."""
        if depth > _DEEPEST:
            raise _refused()
        if not isinstance(value, dict):
            return {"type": "STRING"}
        value = self.merged(value, depth)
        types, nullable = _types(value)
        options = _options(value)
        if options is None and len(types) > 1:
            options = [{**_without(value, "type"), "type": kind} for kind in types]
        if options is not None:
            return self._any_of(value, options, nullable, depth)
        kind = types[0].upper() if types else _implied(value)
        out: Node = {"type": kind}
        if nullable:
            out["nullable"] = True
        self._describe(value, kind, out)
        if kind == "OBJECT":
            self._object(value, out, depth)
        elif kind == "ARRAY":
            out["items"] = self._items(value, depth)
        return out

    def merged(self, value: Node, depth: int) -> Node:
        """Return a schema with its references and its ``allOf`` written out."""
        for _ in range(_DEEPEST):
            self._left -= 1
            if depth > _DEEPEST or self._left < 0:
                raise _refused()
            if "$ref" in value:
                # What contains itself ends somewhere.
                found = {} if depth > _DEEPEST_REF else self._referred(value["$ref"])
                value = {**found, **_without(value, "$ref")}
            elif isinstance(value.get("allOf"), list):
                parts, value = value["allOf"], _without(value, "allOf")
                for part in parts:
                    if isinstance(part, dict):
                        value = _joined(value, self.merged(part, depth + 1))
            else:
                break
        return value

    def _referred(self, pointer: Any) -> Node:
        """Return what a local reference names, an open schema if it names nothing."""
        if not isinstance(pointer, str) or not pointer.startswith("#"):
            return {}
        found: Any = self._root
        for step in pointer[1:].split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            found = found.get(step) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def _describe(self, value: Node, kind: str, out: Node) -> None:
        """Copy what every kind may say, and put the rest into words."""
        notes = []
        for key in _COPIED:
            if key in value:
                out[key] = value[key]
        if value.get("format") in _FORMATS.get(kind, ()):
            out["format"] = value["format"]
        elif isinstance(value.get("format"), str):
            notes.append(f"Format: {value['format']}.")
        _bound(value, kind, out)
        notes += _allow(value, kind, out)
        text = " ".join([*_texts(value.get("description")), *notes])
        if text:
            out["description"] = text

    def _object(self, value: Node, out: Node, depth: int) -> None:
        """Write an object's properties; one that takes any is given a place for them."""
        properties = value.get("properties")
        if not isinstance(properties, dict) or not properties:
            # A nested object without properties is refused.
            out["properties"] = {_OPEN_PROPERTY: self._open_value(value, depth)}
            return
        out["properties"] = {
            name: self.node(each, depth + 1) for name, each in properties.items()
        }
        required = value.get("required")
        if isinstance(required, list):
            kept = [name for name in required if name in properties]
            if kept:
                out["required"] = kept
        ordering = value.get("propertyOrdering")
        if isinstance(ordering, list):
            out["propertyOrdering"] = [name for name in ordering if name in properties]

    def _open_value(self, value: Node, depth: int) -> Node:
        extra = value.get("additionalProperties")
        made = self.node(extra, depth + 1) if isinstance(extra, dict) else {}
        text = " ".join([*_texts(made.get("description")), "Stands for any key."])
        if "anyOf" in made:
            return made
        return {"type": "STRING", **made, "description": text}

    def _items(self, value: Node, depth: int) -> Node:
        items = value.get("items", value.get("prefixItems"))
        if isinstance(items, list):
            options = [self.node(each, depth + 1) for each in items]
            different = [
                each for at, each in enumerate(options) if each not in options[:at]
            ]
            if len(different) > 1:
                return {"anyOf": different}
            items = items[0] if items else None
        return self.node(items, depth + 1) if items is not None else {"type": "STRING"}

    def _any_of(
        self, value: Node, options: list[Any], nullable: bool, depth: int
    ) -> Node:
        """Write a choice; nothing else may stand beside it."""
        kept = [each for each in options if not _is_null(each)]
        nullable = nullable or len(kept) < len(options)
        rest = {
            key: each
            for key, each in value.items()
            if key not in ("anyOf", "oneOf", "type", "nullable")
        }
        made = []
        for each in kept:
            if isinstance(each, dict):
                each = {**rest, **each}
            node = self.node(each, depth + 1)
            if nullable and "anyOf" not in node:
                node["nullable"] = True
            if node not in made:
                made.append(node)
        if not made:
            return {"type": "STRING", "nullable": True}
        return made[0] if len(made) == 1 else {"anyOf": made}


def _joined(left: Node, right: Node) -> Node:
    """Join two schemas that both hold."""
    out = {**right, **left}
    for key in ("properties", "$defs", "definitions"):
        if isinstance(left.get(key), dict) and isinstance(right.get(key), dict):
            out[key] = {**right[key], **left[key]}
    if isinstance(left.get("required"), list) and isinstance(
        right.get("required"), list
    ):
        out["required"] = [*dict.fromkeys([*left["required"], *right["required"]])]
    return out


def _types(value: Node) -> tuple[list[str], bool]:
    """Return the types but null, and whether null is allowed."""
    kind = value.get("type")
    named = kind if isinstance(kind, list) else [kind] if kind else []
    types = [each for each in named if isinstance(each, str)]
    kept = [each for each in types if each.lower() != "null"]
    nullable = value.get("nullable") is True or len(kept) < len(types)
    return kept, nullable


def _options(value: Node) -> list[Any] | None:
    for key in ("anyOf", "oneOf"):
        if isinstance(value.get(key), list) and value[key]:
            return list(value[key])
    return None


def _implied(value: Node) -> str:
    """Return the type of a schema that names none."""
    if "properties" in value or "additionalProperties" in value:
        return "OBJECT"
    if "items" in value or "prefixItems" in value:
        return "ARRAY"
    sample = value.get("const")
    enum = value.get("enum")
    if isinstance(enum, list):
        sample = next((each for each in enum if each is not None), None)
    if isinstance(sample, bool):
        return "BOOLEAN"
    if isinstance(sample, int):
        return "INTEGER"
    return "NUMBER" if isinstance(sample, float) else "STRING"


def _allow(value: Node, kind: str, out: Node) -> list[str]:
    """Say which values are allowed; what is no list of texts is put into words."""
    allowed = [value["const"]] if "const" in value else value.get("enum")
    if not isinstance(allowed, list):
        return []
    words = [each for each in allowed if each is not None]
    if len(words) < len(allowed):
        out["nullable"] = True
    if kind == "STRING" and all(isinstance(each, str) for each in words):
        # A blank one is refused, and so is a list of none.
        if named := [each for each in words if each]:
            out["enum"] = named
        return []
    listed = ", ".join(msgspec.json.encode(each).decode() for each in words)
    return [f"One of: {listed}."] if words else []


def _bound(value: Node, kind: str, out: Node) -> None:
    """Say an exclusive bound as an inclusive one: exact for whole numbers."""
    for key, plain, step in (
        ("exclusiveMinimum", "minimum", 1),
        ("exclusiveMaximum", "maximum", -1),
    ):
        bound = value.get(key)
        if isinstance(bound, int | float) and not isinstance(bound, bool):
            out.setdefault(plain, bound + step if kind == "INTEGER" else bound)


def _is_object(value: Node) -> bool:
    if _options(value) is not None:
        return False
    types, _ = _types(value)
    return [each.lower() for each in types] == ["object"] or (
        not types and _implied(value) in ("OBJECT", "STRING") and "enum" not in value
    )


def _is_null(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("type", "")).lower() == "null"


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) and value else []


def _without(value: Node, key: str) -> Node:
    return {name: each for name, each in value.items() if name != key}


def _to_json_schema(value: Any, depth: int) -> Any:
    """Return one schema of the subset as JSON schema."""
    if not isinstance(value, dict):
        return value
    if depth > _DEEPEST:
        raise _refused()
    out: Node = {}
    for key, each in value.items():
        if key in ("any_of", "anyOf") and isinstance(each, list):
            out["anyOf"] = [_to_json_schema(inner, depth + 1) for inner in each]
        elif key not in _ONLY_GEMINI:
            out[key] = _json_schema_value(key, each, depth)
    if value.get("nullable") is True:
        _allow_null(out)
    return out


def _json_schema_value(key: str, value: Any, depth: int) -> Any:
    if key == "type" and isinstance(value, str):
        return value.lower()
    if key == "properties" and isinstance(value, dict):
        return {
            name: _to_json_schema(inner, depth + 1) for name, inner in value.items()
        }
    if key in ("items", "additionalProperties"):
        return _to_json_schema(value, depth + 1)
    if key in _COUNTS and isinstance(value, str) and value.isdigit():
        return int(value)
    return value


def _allow_null(out: Node) -> None:
    if isinstance(out.get("anyOf"), list):
        out["anyOf"] = [*out["anyOf"], {"type": "null"}]
    elif isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
    if isinstance(out.get("enum"), list) and None not in out["enum"]:
        out["enum"] = [*out["enum"], None]


def _refused() -> FormatError:
    return FormatError(
        "A tool or an answer has a schema that cannot be read.",
        code="invalid_value",
        param="tools",
    )
