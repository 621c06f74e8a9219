"""The catalogue, and trials of providers before they are saved."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["catalogue"])
