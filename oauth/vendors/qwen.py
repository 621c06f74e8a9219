"""Qwen: a device code with a proof key. A template: the vendor has withdrawn it.

Source: reference seeds 8.5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from oauth.vendors import answers, tokenfiles
from oauth.vendors.base import Grant, Knob, Method, Serving, VendorSettings
from oauth.vendors.standard import Standard

_ROOT: Final = "https://chat.qwen.ai/api/v1/oauth2"
_DEFAULT_HOST: Final = "portal.qwen.ai"
_HOST: Final = re.compile(r"[a-z0-9.-]+\.(?:qwen\.ai|aliyuncs\.com)")
_SLOWEST_S: Final = 10


class Qwen(Standard):
    """Sign-ins for Qwen's portal."""

    id = "qwen"
    name = "Qwen"
    catalogue_ids = ("qwen-portal",)
    methods: tuple[Method, ...] = ("device", "import")
    lead_s = 300
    # Sixty polls, one every five seconds.
    longest_s = 300
    is_template = True
    has_device_proof = True
    knobs = (
        Knob(name="client_id", default="f0304373b74a44d2b584a3fb70ca9e56"),
        Knob(name="scope", default="openid profile email model.completion"),
        Knob(name="device_url", default=f"{_ROOT}/device/code"),
        Knob(name="token_url", default=f"{_ROOT}/token"),
    )

    def slower(self, pace_s: int, told_s: int) -> int:
        """Return half as long again, ten seconds at most."""
        return max(pace_s, min(-(-pace_s * 3 // 2), _SLOWEST_S))

    def read_tokens(self, data: Mapping[str, Any], now_s: float) -> Grant:
        """Read tokens, and the host that serves them."""
        grant = answers.grant_of(data, now_s=now_s)
        return replace(grant, extra=_host(data))

    def read_import(self, text: str, *, now_s: float) -> Grant:
        """Read oauth_creds.json."""
        data = tokenfiles.load(text)
        return replace(tokenfiles.flat(data, now_s), extra=_host(data))

    def serving(self, settings: VendorSettings, extra: Mapping[str, Any]) -> Serving:
        """Return the account's host and the two headers it wants."""
        return Serving(
            base_url=f"https://{extra.get('host') or _DEFAULT_HOST}/v1",
            headers={
                "x-dashscope-authtype": "qwen-oauth",
                "x-dashscope-cachecontrol": "enable",
            },
        )


def _host(data: Mapping[str, Any]) -> dict[str, Any]:
    host = answers.text(data.get("resource_url"))
    return {"host": host} if _HOST.fullmatch(host) else {}
