"""The public sources of models and prices."""

from __future__ import annotations

from ninja import Router

router = Router(tags=["feeds"])
