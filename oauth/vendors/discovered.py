"""Sign in where the issuer itself says at which addresses.

Discovered addresses must lie on the issuer's own host or on a host below the issuer's
domain the module names: a forged document must not learn where tokens go.

Source: OpenID Connect Discovery 1.0, 4; RFC 8414.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from oauth.vendors import answers
from oauth.vendors.base import (
    DONE,
    Ask,
    Grant,
    Progress,
    Randoms,
    Reply,
    VendorSettings,
)
from oauth.vendors.standard import Standard, Step

_PATH: Final = "/.well-known/openid-configuration"
_OK: Final = 200
_ENDPOINTS: Final = {
    "device_url": "device_authorization_endpoint",
    "token_url": "token_endpoint",
}


class Discovered(Standard):
    """A vendor with an issuer; an address set by hand goes before a discovered one."""

    domain = ""

    def start_device(self, settings: VendorSettings, randoms: Randoms) -> Progress:
        """Begin by asking the issuer, unless the addresses are set."""
        begun = super().start_device(settings, randoms)
        if all(settings[name] for name in _ENDPOINTS):
            return begun
        return replace(begun, step="discover")

    def start_exchange(
        self, settings: VendorSettings, randoms: Randoms, code: str
    ) -> Progress:
        """Begin by asking the issuer, unless the address is set."""
        begun = super().start_exchange(settings, randoms, code)
        if settings["token_url"]:
            return begun
        values = {**begun.values, "then": "exchange"}
        return Progress(step="discover", values=values)

    def steps(self) -> Mapping[str, Step]:
        """Return the steps by name."""
        discover = Step(self._discover_ask, self._discover_read)
        return {**super().steps(), "discover": discover}

    def device_url(self, settings: VendorSettings, progress: Progress) -> str:
        """Return where device codes come from."""
        return settings["device_url"] or str(progress.values["device_url"])

    def token_url(self, settings: VendorSettings, progress: Progress) -> str:
        """Return the token endpoint.

        Errors: TokenRefusedError when neither settings nor the account tell it.
        """
        found = settings["token_url"] or str(progress.values.get("token_url") or "")
        if not found:
            raise answers.refused("token_endpoint_unknown", is_final=False)
        return self._checked(settings, found) if not settings["token_url"] else found

    def granted(
        self, settings: VendorSettings, progress: Progress, grant: Grant
    ) -> Progress:
        """End; a discovered token endpoint stays with the account."""
        found = progress.values.get("token_url")
        extra = {"token_url": found} if found else {}
        return Progress(step=DONE, grant=replace(grant, extra=extra))

    def _discover_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        url = settings["issuer_url"].rstrip("/") + _PATH
        return Ask(method="GET", url=url, headers=self.headers({}), is_private=False)

    def _discover_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        data = answers.parse(reply.body)
        if reply.status != _OK:
            raise answers.refusal(
                reply.status, reply.headers, data, now_s=now_s, in_flow=True
            )
        values: dict[str, Any] = {**progress.values}
        step = values.pop("then", "device")
        for name, key in _ENDPOINTS.items():
            if not settings[name] and (step == "device" or name == "token_url"):
                values[name] = self._checked(settings, answers.text(data.get(key), 500))
        return replace(progress, step=step, values=values)

    def _checked(self, settings: VendorSettings, found: str) -> str:
        issuer = urlsplit(settings["issuer_url"])
        try:
            parts = urlsplit(found)
            pair = (parts.scheme, parts.hostname, parts.port)
        except ValueError as exc:
            raise answers.refused("discovery_refused", is_final=True) from exc
        is_own = pair == (issuer.scheme, issuer.hostname, issuer.port)
        host = f".{parts.hostname or ''}"
        is_below = parts.scheme == "https" and host.endswith(f".{self.domain}")
        if not found or not (is_own or (self.domain and is_below)):
            raise answers.refused("discovery_refused", is_final=True)
        return found
