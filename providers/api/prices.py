"""Prices: in force, set by people, guessed, missing."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["prices"])
