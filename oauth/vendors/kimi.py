"""Kimi: a device code; every request names a device that stays the same.

Source: reference seeds 8.6.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from oauth.vendors.base import (
    DONE,
    Grant,
    Knob,
    Method,
    Progress,
    Randoms,
    Serving,
    VendorSettings,
)
from oauth.vendors.standard import Standard

_ROOT: Final = "https://auth.kimi.com/api/oauth"


class Kimi(Standard):
    """Sign-ins for Kimi's coding plan."""

    id = "kimi"
    name = "Kimi For Coding"
    catalogue_ids = ("kimi-coding",)
    methods: tuple[Method, ...] = ("device", "import")
    lead_s = 300
    knobs = (
        Knob(name="client_id", default="17e5f671-d194-4dfb-9706-5516cb48c098"),
        Knob(name="scope"),
        Knob(name="device_url", default=f"{_ROOT}/device_authorization"),
        Knob(name="token_url", default=f"{_ROOT}/token"),
    )

    def start_device(self, settings: VendorSettings, randoms: Randoms) -> Progress:
        """Begin a sign-in; the device's id is made once and kept with the account."""
        device_id = str(uuid.uuid5(uuid.NAMESPACE_URL, randoms.nonce))
        return Progress(step="device", values={"device_id": device_id})

    def granted(
        self, settings: VendorSettings, progress: Progress, grant: Grant
    ) -> Progress:
        """End with the device's id beside the tokens."""
        extra = {"device_id": progress.values["device_id"]}
        return Progress(step=DONE, grant=replace(grant, extra=extra))

    def headers(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Return the device's headers; they name this product, nobody else's."""
        return {**super().headers(values), **_device(values)}

    def serving(self, settings: VendorSettings, extra: Mapping[str, Any]) -> Serving:
        """Return the device's headers."""
        return Serving(headers=_device(extra))


def _device(values: Mapping[str, Any]) -> dict[str, str]:
    headers = {
        "x-msh-platform": "provider-pool",
        "x-msh-version": "1.0.0",
        "x-msh-device-name": "provider-pool",
        "x-msh-device-model": "server",
    }
    if device_id := values.get("device_id"):
        headers["x-msh-device-id"] = str(device_id)
    return headers
