"""xAI: a device code at the endpoints the issuer names.

Source: reference seeds 8.7.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from oauth.vendors import answers, tokenfiles
from oauth.vendors.base import Grant, Knob, Method
from oauth.vendors.discovered import Discovered

_SCOPE: Final = "openid profile email offline_access grok-cli:access api:access"


class Xai(Discovered):
    """Sign-ins for Grok."""

    id = "xai"
    name = "xAI Grok"
    catalogue_ids = ("xai",)
    methods: tuple[Method, ...] = ("device", "import")
    lead_s = 300
    longest_s = 1_800
    domain = "x.ai"
    knobs = (
        Knob(name="client_id", default="b1a00492-073a-47ea-816f-4c329264a828"),
        Knob(name="scope", default=_SCOPE),
        Knob(name="issuer_url", default="https://auth.x.ai"),
        Knob(name="device_url"),
        Knob(name="token_url"),
    )

    def read_import(self, text: str, *, now_s: float) -> Grant:
        """Read the Grok CLI's auth.json, or a flat token file."""
        data = tokenfiles.load(text)
        for name, row in data.items():
            if name.startswith("https://") and isinstance(row, dict):
                return tokenfiles.flat({**row, "access_token": row.get("key")}, now_s)
        grant = tokenfiles.flat(data, now_s)
        place = answers.text(data.get("token_endpoint"), 500)
        return replace(grant, extra={"token_url": place} if place else {})
