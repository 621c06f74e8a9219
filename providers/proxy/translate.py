"""Room 4: turn the client's request into one attempt's, and guard what comes back.

Request headers are built, not forwarded: a short list passes between equal dialects,
everything else (credentials, cookies, hosts, addresses) stays here. On the way back a
list as short passes, and the secret in use is searched in whatever an upstream words
itself.
"""

from __future__ import annotations

import asyncio
import logging
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from poolsite.clock import Clock
from poolsite.crypto import KeyRing, UnreadableSecretError
from poolsite.secret_type import Secret
from providers.formats.base import UNREADABLE, Arrival, ChatRequest, FormatError
from providers.formats.errors import ErrorDetail
from providers.proxy import lessons, signing, verdict
from providers.proxy.aside import aside
from providers.proxy.errors import from_format_error
from providers.proxy.exchange import (
    AttemptFailedError,
    Candidate,
    Headers,
    Inbound,
    UpstreamCall,
)
from providers.snapshot.types import ProviderRecord

_log: Final = logging.getLogger("providers.proxy")
_RETRY_KEY: Final = "idempotency-key"
SCAN_LIMIT_BYTES: Final = 64 * 1024
REDACTED: Final = b"[redacted]"

_FORWARDED: Final = frozenset(
    {
        b"accept",
        b"user-agent",
        b"idempotency-key",
        b"traceparent",
        b"openai-beta",
        b"anthropic-version",
        b"anthropic-beta",
        b"x-app",
        b"originator",
        b"session-id",
        b"thread-id",
        b"x-client-request-id",
        b"x-claude-code-session-id",
        b"x-goog-api-client",
        b"x-goog-user-project",
    }
)
_FORWARDED_PREFIXES: Final = (b"x-stainless-", b"x-codex-")
_TRANSLATED: Final = frozenset({b"accept", b"traceparent"})
_NEVER_STATIC: Final = frozenset({"host", "content-length", "transfer-encoding"})

_RETURNED: Final = frozenset(
    {
        "x-request-id",
        "request-id",
        "openai-processing-ms",
        "openai-version",
        "openai-model",
        "x-should-retry",
    }
)
_RETRY_HEADERS: Final = frozenset({"retry-after", "retry-after-ms"})
_RATE_PREFIXES: Final = ("x-ratelimit-", "anthropic-ratelimit-", "x-codex-")
_PRINTABLE: Final = re.compile(r"[\x20-\x7e\x80-\xff]*")
_TAIL: Final = 12
_KEPT_S: Final = 10.0
_JSON: Final = "application/json"
_OWN_HEADERS: Final = {
    "content-type": _JSON,
    "accept-encoding": "identity",
}
_SHORTEST_SCANNED: Final = 8
_STAYS, _HINT, _VENDOR, _RATE = range(4)


def read_request(inbound: Inbound, body: bytes) -> ChatRequest:
    """Read what the rooms must know of a body.

    Errors:  ClientError in the words of the dialect, with the field at fault.
    """
    try:
        return inbound.wire.read_request(body, _arrival(inbound))
    except FormatError as error:
        raise from_format_error(error) from error


def _arrival(inbound: Inbound) -> Arrival:
    return Arrival(
        op=inbound.op,
        path=inbound.path,
        path_model=inbound.path_model,
        is_stream=inbound.is_stream,
        query=inbound.query,
        fields=inbound.fields,
    )


class Opened(Struct, frozen=True):
    """A secret ready for use.

    Shapes:  ``headers`` is what every request to this provider carries, the secret
             included; ``marks`` is what must not come back.
    """

    provider: ProviderRecord
    secret: Secret | None
    headers: dict[str, str]
    marks: tuple[bytes, ...] = ()


class Vault:
    """Decrypt credentials, each for its own origin only.

    What was opened is kept for ten seconds and no longer, also when nobody calls any
    more: the key that opens it lives in the same memory for as long as the process.

    Cost:  about 15 us to open, a dictionary read while it is kept.
    """

    __slots__ = ("_clock", "_opened", "_ring")

    def __init__(self, ring: KeyRing, clock: Clock) -> None:
        self._ring = ring
        self._clock = clock
        self._opened: dict[tuple[int, str, str], tuple[float, Opened]] = {}

    def open(self, candidate: Candidate) -> Opened:
        """Return a candidate's secret and the headers every request to it has.

        Errors:  AttemptFailedError (unreadable) for a lost key, a damaged ciphertext,
                 and one that belongs to another row or another address.
        """
        provider, credential = candidate.route.provider, candidate.route.credential
        token = "" if credential is None else credential.token
        now = self._clock.monotonic()
        key = (provider.id, token, candidate.wire.id)
        kept = self._opened.get(key)
        if kept is not None and now < kept[0] and kept[1].provider is provider:
            return kept[1]
        secret: Secret | None = None
        if credential is not None:
            try:
                secret = self._ring.open(
                    token, context=credential.context, origin=provider.origin
                )
            except UnreadableSecretError as error:
                raise AttemptFailedError(verdict.unreadable()) from error
        headers = _standing_headers(candidate, secret)
        made = Opened(provider, secret, headers, secret_marks(secret))
        if not self._opened:
            asyncio.get_running_loop().call_later(_KEPT_S, self._forget)
        self._opened[key] = (now + _KEPT_S, made)
        return made

    def _forget(self) -> None:
        """Drop what was opened too long ago, so that a secret does not linger."""
        now = self._clock.monotonic()
        for key in [key for key, (until, _) in self._opened.items() if until <= now]:
            del self._opened[key]
        if self._opened:
            asyncio.get_running_loop().call_later(1.0, self._forget)


def build_call(
    inbound: Inbound,
    request: ChatRequest,
    candidate: Candidate,
    opened: Opened,
    *,
    refused: frozenset[str] = frozenset(),
) -> UpstreamCall:
    """Build one attempt's request.

    Shapes:  later headers win over earlier ones: what the client may say, what the
             provider's row says, our own, our secret. What the dialect needs lies
             beneath the client's where both speak it, else above. ``refused`` are the
             lessons learned of this candidate.
    Errors:  FormatError when this upstream cannot express what was asked.
    """
    aim = candidate.aim
    if refused:
        aim = replace(aim, drop=lessons.plain(refused))
    try:
        sent = candidate.bridge.build_request(request, aim)
    except UNREADABLE as error:
        # Found late, since what is only passed on is not read that closely.
        raise FormatError(
            "The request body is not valid JSON.", code="invalid_json"
        ) from error
    if refused:
        sent = lessons.without(sent, refused)
    is_same = candidate.wire is inbound.wire
    headers = _forwarded(inbound, is_same=is_same)
    if sent.headers:
        headers = (
            {**sent.headers, **headers} if is_same else {**headers, **sent.headers}
        )
    headers.update(opened.headers)
    if sent.content_type != _JSON:
        headers["content-type"] = sent.content_type
    headers["x-pool-request-id"] = inbound.request_id
    url = candidate.base_url + sent.path
    return UpstreamCall(candidate, url, headers, sent, opened.secret, opened.marks)


async def built_call(
    inbound: Inbound,
    request: ChatRequest,
    candidate: Candidate,
    opened: Opened,
    *,
    refused: frozenset[str] = frozenset(),
) -> UpstreamCall:
    """Build one attempt's request without holding up other calls.

    Errors:  FormatError; also for a bug of ours, since nothing was sent yet and the
             provider's health must not suffer for it.
    """
    work = partial(build_call, inbound, request, candidate, opened, refused=refused)
    try:
        if candidate.is_relay:
            return work()
        return await aside(len(request.body), work)
    except FormatError:
        raise
    except Exception as error:
        _log.exception("translation_failed", extra={"id": inbound.request_id})
        words = "The request could not be translated for this model's API."
        raise FormatError(words, code="translation_failed") from error


def bind_retries(call: UpstreamCall, owner: str) -> None:
    """Make a client's idempotency key its own among all who share a credential.

    Two clients may choose the same key; the vendor would give one the other's answer.
    """
    key = call.headers.get(_RETRY_KEY)
    if key is not None:
        call.headers[_RETRY_KEY] = f"{owner}-{key}"


def _standing_headers(candidate: Candidate, secret: Secret | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in candidate.route.provider.headers.items():
        if name.lower() not in _NEVER_STATIC:
            headers[name.lower()] = value
    headers.update(_OWN_HEADERS)
    headers.update(signing.standing(candidate, secret))
    return headers


def returned_headers(
    headers: Mapping[str, str], call: UpstreamCall, *, is_same: bool
) -> Headers:
    """Pick what of an answer's headers may reach the client.

    Shapes:  ``is_same`` = client and upstream speak one dialect; rate-limit headers
             come back only then, and never for an account that others use too.
    """
    is_own = is_same and not call.candidate.is_pooled_account
    kept: Headers = []
    for name, value in headers.items():
        kind, lowered = _kind_of(name)
        if kind == _STAYS or (kind == _VENDOR and not is_same):
            continue
        if kind == _RATE and not is_own:
            continue
        if _PRINTABLE.fullmatch(value):
            raw = value.encode("latin-1")
            if not any(mark in raw for mark in call.marks):
                kept.append((lowered, raw))
    return kept


@lru_cache(maxsize=1024)
def _kind_of(name: str) -> tuple[int, bytes]:
    """Say which answers' headers may pass: never, with hints, of a vendor, of rates."""
    lowered = name.lower()
    kind = _STAYS
    if lowered in _RETURNED:
        kind = _VENDOR
    elif lowered in _RETRY_HEADERS:
        kind = _HINT
    elif lowered.startswith(_RATE_PREFIXES):
        kind = _RATE
    return kind, lowered.encode("ascii", "replace")


def secret_marks(secret: Secret | None) -> tuple[bytes, ...]:
    """Return the spellings of a secret that must not come back: it, base64, its tail."""
    if secret is None:
        return ()
    raw = secret.reveal().encode()
    if len(raw) < _SHORTEST_SCANNED:
        return (raw,) if raw else ()
    marks = [raw, b64encode(raw).rstrip(b"=")]
    if len(raw) > 2 * _TAIL:
        marks.append(raw[-_TAIL:])
    return tuple(marks)


def redact(text: bytes, secret: Secret | None) -> bytes:
    """Take the secret out of something an upstream worded."""
    for mark in secret_marks(secret):
        if mark in text:
            text = text.replace(mark, REDACTED)
    return text


def scrubber(marks: tuple[bytes, ...]) -> Callable[[bytes], bytes]:
    """Return what takes a secret's spellings out of the bytes of an answer.

    Cost:    a search for each spelling, under 0.5 us for an event of a stream.
    """

    def clean(data: bytes) -> bytes:
        for mark in marks:
            if mark in data:
                data = data.replace(mark, REDACTED)
        return data

    return clean


def redacted_detail(detail: ErrorDetail, secret: Secret | None) -> ErrorDetail:
    """Take the secret out of an upstream's error.

    Shapes:  a body above the scan limit is not passed on: ``raw`` comes back empty.
    """
    raw = detail.raw if len(detail.raw) <= SCAN_LIMIT_BYTES else b""
    return ErrorDetail(
        message=redact(detail.message.encode(), secret).decode("utf-8", "replace"),
        type=_redact_word(detail.type, secret),
        code=_redact_word(detail.code, secret),
        param=_redact_word(detail.param, secret),
        status=detail.status,
        raw=redact(raw, secret),
    )


def _redact_word(word: str | None, secret: Secret | None) -> str | None:
    if word is None:
        return None
    return redact(word.encode(), secret).decode("utf-8", "replace")


def _forwarded(inbound: Inbound, *, is_same: bool) -> dict[str, str]:
    """Pick what of the client's headers may reach the upstream."""
    names = _same_name if is_same else _translated_name
    headers: dict[str, str] = {}
    # By name, so that a list in several lines arrives whole and in order.
    for name, value in inbound.fields.items():
        passed = names(name)
        if passed is not None:
            headers[passed] = value.decode("latin-1")
    return headers


@lru_cache(maxsize=1024)
def _same_name(name: bytes) -> str | None:
    is_listed = name in _FORWARDED or name.startswith(_FORWARDED_PREFIXES)
    return name.decode("ascii") if is_listed else None


@lru_cache(maxsize=1024)
def _translated_name(name: bytes) -> str | None:
    return name.decode("ascii") if name in _TRANSLATED else None
