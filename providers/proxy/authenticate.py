"""Room 1: find out whose key came with a call; no body, no I/O.

Clients send their key in many places, some in two at once with a dummy in one of them,
so every spelling is tried before anybody is refused.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import parse_qsl

from msgspec import Struct
from msgspec.structs import replace

from poolsite.clock import Clock
from poolsite.crypto import (
    INTERNAL_TOKEN_PREFIX,
    parse_client_key,
    read_internal_token,
)
from providers.proxy.errors import ClientError, UnauthenticatedError
from providers.proxy.exchange import Caller, Inbound
from providers.proxy.ports import SnapshotPort, Trust
from providers.snapshot.types import ClientKeyRecord

_KEY_HEADERS: Final = (b"x-api-key", b"api-key", b"x-goog-api-key")
_OTHER_PLACES: Final = frozenset(_KEY_HEADERS)
_KEY_PARAMETERS: Final = ("key", "api_key")
_CLIENT_KEY_PREFIX: Final = "pp_"
_BEARER: Final = "bearer "
_BASIC: Final = "basic "
_AWS: Final = "AWS4-HMAC-SHA256 "
_LONGEST_CREDENTIAL: Final = 1024
_LONGEST_WORD: Final = 200
_MOST_PARAMETERS: Final = 100
_MOST_KNOWN: Final = 10_000
_NANO: Final = 1_000_000_000

_SESSION_HEADERS: Final = (
    b"x-pool-session",
    b"x-claude-code-session-id",
)
# Earlier releases of Codex spell theirs with an underscore.
_LATE_SESSION_HEADERS: Final = (b"session-id", b"session_id", b"x-session-id")

_PRODUCTS: Final = (
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("geminicli", "gemini-cli"),
    ("gemini-cli", "gemini-cli"),
    ("opencode", "opencode"),
    ("aider", "aider"),
    ("openai/python", "openai-python"),
    ("asyncopenai/python", "openai-python"),
    ("openai/js", "openai-node"),
    ("anthropic/python", "anthropic-python"),
    ("asyncanthropic/python", "anthropic-python"),
    ("anthropic/js", "anthropic-node"),
    ("google-genai-sdk", "google-genai"),
    ("ollama-python", "ollama-python"),
    ("ollama-js", "ollama-js"),
    ("langchain", "langchain"),
    ("ai-sdk", "ai-sdk"),
    ("continue", "continue"),
    ("cline", "cline"),
    ("litellm", "litellm"),
)
"""What a user agent contains, first match wins, and the product it stands for."""


class _Proof(Struct, frozen=True):
    """One presented text that really is a key, and what it may still lack."""

    text: str
    caller: Caller
    refusal: UnauthenticatedError | None = None


class Recognition:
    """Recognise a key that was proven before, by the digest of its header.

    A busy client sends the same header thousands of times; what it proved stays true
    as long as the snapshot holds the very same record. Only digests are kept.

    Cost:  about 2 us, against 10 for the full proof.
    """

    __slots__ = ("_known", "_trust")

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._known: dict[bytes, ClientKeyRecord] = {}

    def caller(self, inbound: Inbound, snapshot: SnapshotPort) -> Caller:
        """Return the caller, or refuse.

        Errors:  as ``authenticate``.
        """
        digest = _header_digest(inbound)
        if digest is not None:
            known = self._known.get(digest)
            if known is not None:
                record = snapshot.client_key(known.public_id)
                if (
                    record is known
                    and _refusal(known, inbound, self._trust.clock) is None
                ):
                    return _caller(known, "client", inbound)
                del self._known[digest]
        caller = authenticate(inbound, snapshot, self._trust)
        if digest is not None and caller.purpose == "client":
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[digest] = caller.key
        return caller


def _header_digest(inbound: Inbound) -> bytes | None:
    """Digest the one header that may hold a key; None when there are several."""
    fields = inbound.fields
    value = fields.get(b"authorization")
    if (
        value is None
        or len(fields) != len(inbound.headers)
        or not _OTHER_PLACES.isdisjoint(fields)
        or b"key=" in inbound.query
    ):
        return None
    return sha256(value).digest()


def authenticate(inbound: Inbound, snapshot: SnapshotPort, trust: Trust) -> Caller:
    """Return the caller, or refuse.

    Two different valid keys are refused rather than guessed between; a dummy beside
    a valid one is ignored, and so is an expired one.

    Errors:  UnauthenticatedError 401 (no key, wrong, expired), 403 (address);
             ClientError 400 for two valid keys.
    Cost:    about 10 us for one key.
    """
    proofs: list[_Proof] = []
    presented = 0
    seen: set[str] = set()
    for text in _presented(inbound):
        presented += 1
        if text in seen:
            continue
        seen.add(text)
        proof = _prove(text, inbound, snapshot, trust)
        if proof is not None:
            proofs.append(proof)
    good = [proof for proof in proofs if proof.refusal is None]
    if len(good) > 1:
        raise ClientError(
            "Two different valid API keys came with this request; send one.",
            code="conflicting_api_keys",
        )
    if good:
        return good[0].caller
    for proof in proofs:
        if proof.refusal is not None:
            raise proof.refusal
    if not presented:
        raise UnauthenticatedError(
            "No API key came with this request. Send it as 'Authorization: Bearer "
            "<key>' or in 'x-api-key'.",
            code="missing_api_key",
        )
    raise UnauthenticatedError(
        "The API key is not valid. It may be mistyped, revoked or meant for another "
        "server."
    )


def _presented(inbound: Inbound) -> Iterator[str]:
    """Yield everything that could be a key, in the order of preference."""
    basic: list[str] = []
    others: list[tuple[bytes, str]] = []
    for name, value in inbound.headers:
        if name == b"authorization":
            text = value.decode("latin-1").strip()
            if text[:6].lower() == _BASIC:
                basic.append(text[6:])
            else:
                yield from _clean(text)
        elif name in _KEY_HEADERS:
            others.append((name, value.decode("latin-1")))
    for wanted in _KEY_HEADERS if others else ():
        for name, text in others:
            if name == wanted:
                yield from _clean(text)
    if b"key=" in inbound.query:
        yield from _queried(inbound.query)
    for text in basic:
        yield from _clean(_basic_password(text))


def _access_key(text: str) -> str:
    """Return the access key id of an AWS signature, which is the pool's key here.

    The signature is not checked: that takes a secret only the client has. The key
    itself proves who calls, as it does in a bearer header.
    """
    return text.partition("Credential=")[2].partition("/")[0]


def _queried(query: bytes) -> Iterator[str]:
    pairs = parse_qsl(query.decode("latin-1"), max_num_fields=_MOST_PARAMETERS)
    for wanted in _KEY_PARAMETERS:
        for name, text in pairs:
            if name == wanted:
                yield from _clean(text)


def _clean(text: str) -> Iterator[str]:
    """Take the scheme off; some clients put it into x-api-key as well."""
    text = text.strip()
    if text.startswith(_AWS):
        text = _access_key(text)
    if text[:7].lower() == _BEARER:
        text = text[7:].lstrip()
    if text and len(text) <= _LONGEST_CREDENTIAL:
        yield text


def _basic_password(text: str) -> str:
    try:
        decoded = b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[2]


def _prove(
    text: str, inbound: Inbound, snapshot: SnapshotPort, trust: Trust
) -> _Proof | None:
    """Check one text: shape, then snapshot, then keyed digest."""
    if text.startswith(INTERNAL_TOKEN_PREFIX):
        return _prove_internal(text, inbound, snapshot, trust)
    if not text.startswith(_CLIENT_KEY_PREFIX):
        return None
    parsed = parse_client_key(text)
    if parsed is None:
        return None
    record = snapshot.client_key(parsed.public_id)
    if record is None or not trust.peppers.matches(
        text, pepper_id=record.pepper_id, digest=record.digest
    ):
        return None
    caller = _caller(record, "client", inbound)
    return _Proof(text, caller, _refusal(record, inbound, trust.clock))


def _prove_internal(
    text: str, inbound: Inbound, snapshot: SnapshotPort, trust: Trust
) -> _Proof | None:
    """Check a token the product made for a call of its own."""
    claim = read_internal_token(trust.internal_root, text, clock=trust.clock)
    if claim is None:
        return None
    record = snapshot.client_key(claim.key_id) if claim.key_id else OWN_CALLS
    if record is None:
        return None
    caller = _caller(record, claim.purpose, inbound)
    if claim.model_row is not None:
        caller = replace(caller, model_row=claim.model_row)
    if claim.purpose == "replay":
        original = _word(inbound.fields.get(b"x-pool-replay-of", b""))
        caller = replace(caller, replay_of=original)
    return _Proof(text, caller)


def _refusal(
    record: ClientKeyRecord, inbound: Inbound, clock: Clock
) -> UnauthenticatedError | None:
    """Say what keeps a genuine key from being used here and now."""
    expires = record.expires_at_s
    if expires is not None and clock.time_ns() >= expires * _NANO:
        return UnauthenticatedError("This API key has expired.", code="api_key_expired")
    if record.ip_allow and not _is_allowed(inbound.peer, record.ip_allow):
        return UnauthenticatedError(
            "This API key may not be used from this address.",
            status=403,
            code="address_not_allowed",
        )
    return None


def _is_allowed(peer: str, allowed: tuple[str, ...]) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return any(
        network.version == address.version and address in network
        for network in _networks(allowed)
    )


@lru_cache(maxsize=4096)
def _networks(allowed: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(entry, strict=False) for entry in allowed)


def _caller(record: ClientKeyRecord, purpose: str, inbound: Inbound) -> Caller:
    session = ""
    fields = inbound.fields
    for name in _SESSION_HEADERS:
        if name in fields:
            session = _word(fields[name])
            break
    agent = ""
    if b"x-pool-session" in fields and ":" in session:
        agent = session.partition(":")[0]
    if not agent:
        agent = product_of(fields.get(b"user-agent", b""))
    return Caller(record, purpose, session, agent)


def late_session(inbound: Inbound) -> str:
    """Return the session of the headers that count less than the body's own."""
    for name in _LATE_SESSION_HEADERS:
        if name in inbound.fields:
            return _word(inbound.fields[name])
    return ""


@lru_cache(maxsize=1024)
def product_of(user_agent: bytes) -> str:
    """Name the client product behind a user agent."""
    text = user_agent.decode("latin-1").lower()
    for needle, product in _PRODUCTS:
        if needle in text:
            return product
    return "other" if text else ""


def _word(value: bytes) -> str:
    return value.decode("utf-8", "replace").strip()[:_LONGEST_WORD]


OWN_CALLS: Final = ClientKeyRecord(
    id=0, public_id="", digest="", pepper_id="", name="Provider Pool"
)
"""Stands for the product itself where a call of its own names no client key."""
