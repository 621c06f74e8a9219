"""Say in which header a secret travels, where it travels at all.

One table for the data plane and for whoever tries a provider from the console: a secret
that signs calls must never be sent as if it were a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.formats.base import WireFormat

SIGNED: Final = frozenset({"sigv4", "google-sa", "entra"})
"""Schemes whose proof is made for each request; the secret itself is never sent."""

_HEADERS: Final[dict[str, tuple[str, str]]] = {
    "bearer": ("authorization", "Bearer {}"),
    "x-api-key": ("x-api-key", "{}"),
    "x-goog-api-key": ("x-goog-api-key", "{}"),
    "api-key": ("api-key", "{}"),
}
_SILENT: Final = SIGNED | {"none"}


class UnknownSchemeError(LookupError):
    """Report an ``auth_scheme`` nobody knows; a configuration mistake."""


def credential_headers(wire: WireFormat, scheme: str, secret: str) -> Mapping[str, str]:
    """Return the headers that hold a secret.

    Shapes:  ``scheme`` blank = the wire format's own way; empty for schemes that sign
             and for ``none``.
    Errors:  UnknownSchemeError.
    """
    if scheme in _SILENT:
        return {}
    if not scheme:
        return wire.auth_headers(secret)
    try:
        name, pattern = _HEADERS[scheme]
    except KeyError:
        raise UnknownSchemeError(scheme) from None
    return {name: pattern.format(secret)}
