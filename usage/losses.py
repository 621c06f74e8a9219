"""Say in words what a translation changed."""

from __future__ import annotations

from typing import Final

_DONE: Final = {
    "drop": "dropped",
    "fold": "folded into text",
    "clamp": "clamped",
    "emulate": "asked for in another way",
}


def in_words(losses: str) -> str:
    """Return ``field:action,field:action`` as a person reads it."""
    words = []
    for loss in filter(None, losses.split(",")):
        field, _, action = loss.partition(":")
        words.append(f"{field} {_DONE.get(action, action)}".strip())
    return ", ".join(words)
