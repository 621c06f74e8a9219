"""Find vendors by their id or by the catalogue's."""

from __future__ import annotations

from typing import Final

from oauth.vendors.antigravity import Antigravity
from oauth.vendors.base import Vendor
from oauth.vendors.claude import Claude
from oauth.vendors.codex import Codex
from oauth.vendors.copilot import Copilot
from oauth.vendors.gemini_cli import GeminiCli
from oauth.vendors.generic import Generic
from oauth.vendors.kimi import Kimi
from oauth.vendors.qwen import Qwen
from oauth.vendors.xai import Xai

_ALL: Final[tuple[Vendor, ...]] = (
    Copilot(),
    Codex(),
    Claude(),
    GeminiCli(),
    Antigravity(),
    Kimi(),
    Xai(),
    Qwen(),
    Generic(),
)
VENDORS: Final[dict[str, Vendor]] = {vendor.id: vendor for vendor in _ALL}
"""Every vendor, in the order screens show them."""


class UnknownVendorError(LookupError):
    """Nobody knows a vendor by this id."""


def vendor_of(vendor_id: str) -> Vendor:
    """Return a vendor.

    Errors: UnknownVendorError.
    """
    try:
        return VENDORS[vendor_id]
    except KeyError:
        raise UnknownVendorError(vendor_id) from None


def vendors_for(catalogue_id: str) -> list[Vendor]:
    """Return the vendors whose accounts serve a catalogue entry; generic always."""
    return [
        vendor
        for vendor in _ALL
        if catalogue_id in vendor.catalogue_ids or not vendor.catalogue_ids
    ]
