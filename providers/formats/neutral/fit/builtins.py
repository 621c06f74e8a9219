"""Describe vendors' client-side tools to models of other vendors.

The client runs these tools itself and knows their arguments; a model of another vendor
must be told them.

Source: reference wire 2.3; vendors' tool documentation of 2026-11.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from providers.formats.base import UNREADABLE
from providers.formats.neutral.types import Tool

_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_POINT: Final = {"type": "array", "items": _WHOLE, "minItems": 2, "maxItems": 2}


def _schema(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


def _one_of(*words: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


_EDITS: Final = {
    "path": _TEXT,
    "file_text": _TEXT,
    "old_str": _TEXT,
    "new_str": _TEXT,
    "insert_line": _WHOLE,
    "insert_text": _TEXT,
    "view_range": _POINT,
}
_ACTIONS: Final = (
    "key",
    "type",
    "mouse_move",
    "left_click",
    "left_click_drag",
    "right_click",
    "middle_click",
    "double_click",
    "triple_click",
    "left_mouse_down",
    "left_mouse_up",
    "scroll",
    "hold_key",
    "wait",
    "screenshot",
    "cursor_position",
    "zoom",
)
_KNOWN: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    (
        "bash_",
        "Run a command in a persistent bash session, or restart the session.",
        _schema([], command=_TEXT, restart={"type": "boolean"}),
    ),
    (
        "text_editor_",
        "View, create and edit text files.",
        _schema(
            ["command", "path"],
            command=_one_of("view", "create", "str_replace", "insert", "undo_edit"),
            **_EDITS,
        ),
    ),
    (
        "memory_",
        "Read and write files of notes below /memories that outlast the conversation.",
        _schema(
            ["command"],
            command=_one_of(
                "view", "create", "str_replace", "insert", "delete", "rename"
            ),
            old_path=_TEXT,
            new_path=_TEXT,
            **_EDITS,
        ),
    ),
    (
        "computer_2",
        "Use a computer's screen, mouse and keyboard.",
        _schema(
            ["action"],
            action=_one_of(*_ACTIONS),
            coordinate=_POINT,
            start_coordinate=_POINT,
            text=_TEXT,
            scroll_direction=_one_of("up", "down", "left", "right"),
            scroll_amount=_WHOLE,
            duration={"type": "number"},
            region={"type": "array", "items": _WHOLE, "minItems": 4, "maxItems": 4},
        ),
    ),
    (
        "local_shell",
        "Run a command on the user's machine.",
        _schema(
            ["command"],
            command=_TEXTS,
            working_directory=_TEXT,
            timeout_ms=_WHOLE,
            env={"type": "object", "additionalProperties": _TEXT},
            user=_TEXT,
        ),
    ),
    (
        "shell",
        "Run shell commands.",
        _schema(
            ["commands"],
            commands=_TEXTS,
            timeout_ms=_WHOLE,
            max_output_length=_WHOLE,
        ),
    ),
    (
        "apply_patch",
        "Create, update or delete one file by a patch.",
        _schema(
            ["type", "path"],
            type=_one_of("create_file", "update_file", "delete_file"),
            path=_TEXT,
            diff=_TEXT,
        ),
    ),
)


def as_function(tool: Tool) -> Tool | None:
    """Return a client-side tool as a function; None for one nobody documented."""
    kind = tool.type or tool.name
    for beginning, description, schema in _KNOWN:
        if kind.startswith(beginning):
            return replace(
                tool,
                kind="function",
                name=tool.name or kind,
                description=description + _screen(tool),
                schema=msgspec.Raw(msgspec.json.encode(schema)),
                type="",
                dialect="",
                payload=None,
                is_deferred=False,
            )
    return None


def _screen(tool: Tool) -> str:
    """Return the size of the screen a tool said it has."""
    if tool.payload is None or not tool.type.startswith("computer"):
        return ""
    try:
        said = msgspec.json.decode(tool.payload)
    except UNREADABLE:
        return ""
    if not isinstance(said, dict):
        return ""
    width, height = said.get("display_width_px"), said.get("display_height_px")
    if not isinstance(width, int) or not isinstance(height, int):
        return ""
    return f" The screen is {width} by {height} pixels."
