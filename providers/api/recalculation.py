"""Recalculation of what was billed."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["recalculation"])
