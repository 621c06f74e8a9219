"""Collect what fitting a request had to leave behind, each loss once."""

from __future__ import annotations

from typing import Literal

from providers.formats.neutral.types import Loss


class Losses:
    """Collect losses in the order they happened; details never quote a prompt."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[Loss, None] = {}

    def add(
        self,
        field: str,
        action: Literal["drop", "fold", "clamp", "emulate"] = "drop",
        detail: str = "",
    ) -> None:
        """Name one loss."""
        self._seen[Loss(field=field, action=action, detail=detail)] = None

    @property
    def all(self) -> tuple[Loss, ...]:
        """Return every loss, once."""
        return tuple(self._seen)
