"""Models: discovery, differences, allowlists."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["models"])
