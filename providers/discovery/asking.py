"""Ask a provider one question at a time, within a budget of time, and say how it went.

Everything here leaves through the control plane's guarded client. The secret goes to
the candidate's own origin and nowhere else, and is taken out of what is repeated.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from django.conf import settings

from poolsite.clock import Clock, SystemClock
from poolsite.destinations import (
    Category,
    EgressError,
    EgressRefusedError,
    Vetter,
    host_port_of,
    origin_of,
)
from poolsite.egress_control import Answer, ControlClient
from poolsite.egress_errors import tls_context
from poolsite.secret_type import Secret
from providers.discovery.echo import without_secret
from providers.formats import registry
from providers.formats.credential_headers import SIGNED, credential_headers

STAGE_S: Final = 10.0
TOTAL_S: Final = 30.0
_LIMIT_BYTES: Final = 16 * 1024 * 1024
_LONGEST_WORDS: Final = 180
_JSON: Final = {"content-type": "application/json"}
_WORDS: Final = {
    Category.DNS: (
        "DNS: the host name does not resolve.",
        "Check the base URL.",
    ),
    Category.REFUSED: (
        "TCP: nothing answers at this address; is the server running?",
        "Check the host and the port.",
    ),
    Category.TLS: (
        "TLS: the certificate is not valid for this host.",
        "Check the host name, and whether the address begins with https.",
    ),
    Category.TIMEOUT: (
        "The provider did not answer in time; try again later.",
        "A firewall may swallow the connection.",
    ),
    Category.RESET: (
        "The connection was cut; check the port and the protocol.",
        "An address with https may need http, or the other way round.",
    ),
    Category.TOO_LARGE: (
        "The answer was too large to be a model list.",
        "Check the base URL.",
    ),
}


class _UnsignedError(Exception):
    """Report a credential no proof can be made of."""


Signer = Callable[[str, str, bytes, str], Mapping[str, str]]
"""Make the proof of one request: (method, URL, body, secret) -> headers.

It raises ValueError for a secret no proof can be made of.
"""


@dataclass(frozen=True)
class Candidate:
    """What is tried: a provider, stored or not yet.

    Shapes:  ``base_url`` may be anything somebody entered; ``options`` are what a cloud
             needs beside a key.
    """

    base_url: str
    api_format: str
    allow_private: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    needs_key: bool = True
    executable: str = ""
    auth_scheme: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    catalogue: str = ""
    slug: str = ""


@dataclass(frozen=True)
class Heard:
    """What came of one question.

    Shapes:  ``answer`` None = nothing came back; then ``words`` and ``cure`` say why.
    """

    answer: Answer | None
    words: str = ""
    cure: str = ""
    category: Category | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status, None when nothing came back."""
        return None if self.answer is None else self.answer.status

    @property
    def is_html(self) -> bool:
        """Tell a page for people from an answer of an interface."""
        if self.answer is None:
            return False
        kind = self.answer.headers.get("content-type", "").lower()
        head = self.answer.body[:64].lstrip().lower()
        return "html" in kind or head.startswith((b"<!doctype", b"<html"))


class Asker:
    """Ask one candidate, all questions together within ``total_s``.

    Units:   seconds.
    """

    def __init__(
        self,
        candidate: Candidate,
        secret: Secret | None,
        *,
        stage_s: float = STAGE_S,
        total_s: float = TOTAL_S,
        sign: Signer | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.candidate = candidate
        self.wire = registry.get(candidate.api_format)
        self._secret = secret
        self._sign = sign
        self._clock = clock or SystemClock()
        self._stage_s = stage_s
        self._ends = self._clock.monotonic() + total_s

    @property
    def has_key(self) -> bool:
        """Tell whether there is a secret to send."""
        return self._secret is not None

    @property
    def cannot_sign(self) -> bool:
        """Tell whether the secret signs calls in a way that is not possible here."""
        return self.candidate.auth_scheme in SIGNED and self._sign is None

    def credential(self, scheme: str = "", wire_id: str = "") -> dict[str, str]:
        """Return the headers that hold the secret, by default in the candidate's way."""
        if self._secret is None:
            return {}
        wire = registry.get(wire_id) if wire_id else self.wire
        own = scheme or (self.candidate.auth_scheme if not wire_id else "")
        return dict(credential_headers(wire, own, self._secret.reveal()))

    def ask(
        self,
        url: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        credential: Mapping[str, str] | None = None,
    ) -> Heard:
        """Send one request.

        Shapes:  ``credential`` replaces the candidate's own way of sending the key.
        Fails:   never raises for what the network or the provider does.
        Cost:    at most ``stage_s``, and not past ``total_s`` of all together.
        """
        left = min(self._stage_s, self._ends - self._clock.monotonic())
        if left <= 0:
            return Heard(None, "The time for this test is used up.", "Try again.")
        proof = self.credential() if credential is None else dict(credential)
        try:
            if self.candidate.auth_scheme in SIGNED:
                proof = self._signed(method, url, body or b"")
            sent = {
                **(_JSON if body is not None else {}),
                **dict(self.candidate.headers),
                **(headers or {}),
                **proof,
            }
            return Heard(self._send(url, method, body, sent, left))
        except _UnsignedError as exc:
            return Heard(None, str(exc), "Enter the credential as it is described.")
        except EgressRefusedError as exc:
            return Heard(None, str(exc), "", exc.category)
        except EgressError as exc:
            words, cure = _WORDS.get(exc.category, (str(exc), ""))
            return Heard(None, words, cure, exc.category)

    def _send(
        self,
        url: str,
        method: str,
        body: bytes | None,
        headers: Mapping[str, str],
        left_s: float,
    ) -> Answer:
        base = self.candidate.base_url
        own = {host_port_of(base)} if self.candidate.allow_private else set()
        vetter = Vetter(settings.CONFIG.allow_private, settings.CONFIG.cloud_metadata)
        with ControlClient(
            vetter,
            read_timeout_s=left_s,
            deadline_s=left_s,
            limit_bytes=_LIMIT_BYTES,
            tls=_tls(),
        ) as client:
            answer = client.send(
                client.prepare(url, frozenset(own)),
                headers=headers,
                body=body,
                secret_origin=origin_of(base) if self._secret is not None else None,
                method=method,
            )
        return without_secret(answer, self._secret)

    def _signed(self, method: str, url: str, body: bytes) -> dict[str, str]:
        if self._sign is None or self._secret is None:
            return {}
        try:
            return dict(self._sign(method, url, body, self._secret.reveal()))
        except ValueError as exc:
            raise _UnsignedError(str(exc)) from None

    def quoted(self, heard: Heard, wire_id: str = "") -> str:
        """Return what the provider said of an error, short and without the secret."""
        if heard.answer is None:
            return heard.words
        wire = registry.get(wire_id) if wire_id else self.wire
        said = wire.read_error(heard.answer.status, heard.answer.body).message
        return self.clean(said)

    def code(self, heard: Heard, wire_id: str = "") -> str:
        """Return the short code of an error, blank without one."""
        if heard.answer is None:
            return ""
        wire = registry.get(wire_id) if wire_id else self.wire
        return wire.read_error(heard.answer.status, heard.answer.body).code or ""

    def clean(self, text: str) -> str:
        """Return a stranger's text fit for a screen: one line, short, no secret."""
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if self._secret is not None and self._secret.reveal():
            line = line.replace(self._secret.reveal(), "****")
        return line[:_LONGEST_WORDS]


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Read the certificates once; a dozen questions would read them a dozen times."""
    return tls_context()
