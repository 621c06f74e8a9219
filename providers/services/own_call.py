"""Make the product's own model calls through its own front door.

They carry a 60 s internal token that names the client key whose limits apply and the
purpose, so they are priced, limited and recorded like every other request. A probe is
nobody's: it names no key, uses up no person's budget, and is recorded as the pool's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec
from django.conf import settings

from poolsite.clock import Clock, SystemClock
from poolsite.crypto import make_internal_token
from poolsite.destinations import Category, EgressError, Vetter
from poolsite.egress_control import ControlClient
from usage.models import ClientKey

_CLOCK = SystemClock()
_TIMEOUT_S = 60.0
_PATH: Final = "/v1/chat/completions"
_PROBE_LIMIT_BYTES: Final = 1024 * 1024
PROBE_PROMPT: Final = "hi"


@dataclass(frozen=True)
class OwnAnswer:
    """What came back.

    Shapes:  ``text`` is the answer on success, the reason otherwise.
    """

    ok: bool
    text: str
    request_id: str = ""
    latency_ms: int = 0


def ask(
    key: ClientKey,
    model: str,
    prompt: str,
    *,
    purpose: str = "playground",
    clock: Clock = _CLOCK,
) -> OwnAnswer:
    """Ask a model one question as this client key; costs what the model costs.

    Fails:  never raises for what the proxy answers; the result says why.
    """
    address = settings.CONFIG.own_address
    token = make_internal_token(
        settings.ROOTS.secret_key, key_id=key.public_id, purpose=purpose, clock=clock
    )
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": 64,
    }
    url = f"http://{address}{_PATH}"
    headers = {
        "authorization": f"Bearer {token.reveal()}",
        "content-type": "application/json",
    }
    vetter = Vetter([address])
    try:
        with ControlClient(vetter, read_timeout_s=_TIMEOUT_S) as client:
            answer = client.send(
                client.prepare(url),
                headers=headers,
                body=msgspec.json.encode(body),
                secret_origin=None,  # the token is for this very address
                method="POST",
            )
    except EgressError as exc:
        return OwnAnswer(False, f"The proxy does not answer ({exc.category}).")
    request_id = answer.headers.get("x-pool-request-id", "")
    try:
        text = _text(answer.status, answer.json())
    except ValueError:
        return OwnAnswer(False, f"The proxy answered {answer.status}.", request_id)
    return OwnAnswer(answer.status == 200, text, request_id, answer.elapsed_ms)


@dataclass(frozen=True)
class ProbeAnswer:
    """What came of asking one model for one token.

    Shapes:  ``status`` None = nobody answered, then ``category`` says why (``timeout``,
             or that the proxy itself is away); ``attempts`` is how often an upstream
             was asked: with 0 the answer is the pool's own.
    """

    status: int | None
    words: str = ""
    code: str = ""
    attempts: int = 0
    request_id: str = ""
    latency_ms: int = 0
    category: str = ""

    @property
    def is_pools_own(self) -> bool:
        """Tell whether the proxy is away or busy, which says nothing of a model."""
        if self.status is None:
            return self.category in _AWAY
        return self.status >= 500 and self.code in _NOT_NOW


_AWAY: Final = frozenset({Category.REFUSED, Category.RESET, Category.DNS})
_NOT_NOW: Final = frozenset(
    {
        "starting",
        "not_ready",
        "draining",
        "overloaded",
        "cannot_record",
        "snapshot_stale",
    }
)
"""What the proxy says when it can serve nobody at this moment."""


class Prober:
    """Ask models for one token each, every one at its own provider and nowhere else.

    Safe to share between threads.
    """

    def __init__(self, *, timeout_s: float, clock: Clock = _CLOCK) -> None:
        address = settings.CONFIG.own_address
        self._url = f"http://{address}{_PATH}"
        self._clock = clock
        self._client = ControlClient(
            Vetter([address]),
            read_timeout_s=timeout_s,
            deadline_s=timeout_s,
            limit_bytes=_PROBE_LIMIT_BYTES,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; no call may be under way."""
        self._client.close()

    def ask(self, model_row: int, model_id: str) -> ProbeAnswer:
        """Ask one model.

        Fails:   never raises for what the proxy answers or does not answer.
        """
        token = make_internal_token(
            settings.ROOTS.secret_key,
            key_id="",
            purpose="probe",
            clock=self._clock,
            model_row=model_row,
        )
        headers = {
            "authorization": f"Bearer {token.reveal()}",
            "content-type": "application/json",
        }
        started = self._clock.monotonic()
        try:
            answer = self._client.send(
                self._client.prepare(self._url),
                headers=headers,
                body=probe_body(model_id),
                secret_origin=None,  # the token is for this very address
                method="POST",
            )
        except EgressError as exc:
            waited = round((self._clock.monotonic() - started) * 1_000)
            return ProbeAnswer(None, latency_ms=waited, category=exc.category)
        words, code = _said(answer.status, answer.body)
        attempts = answer.headers.get("x-pool-attempts", "")
        return ProbeAnswer(
            answer.status,
            words,
            code,
            int(attempts) if attempts.isdecimal() else 0,
            answer.headers.get("x-pool-request-id", ""),
            answer.elapsed_ms,
        )


def probe_body(model_id: str) -> bytes:
    """Return what a probe sends: one word, for one token."""
    return msgspec.json.encode(
        {
            "model": model_id,
            "messages": [{"role": "user", "content": PROBE_PROMPT}],
            "max_tokens": 1,
        }
    )


def _said(status: int, body: bytes) -> tuple[str, str]:
    """Find the words and the code of an error; none for a success."""
    if 200 <= status < 300:
        return "", ""
    try:
        error = msgspec.json.decode(body)["error"]
        return str(error["message"]), str(error.get("code") or "")
    except (msgspec.DecodeError, ValueError, KeyError, TypeError, AttributeError):
        return body[:1000].decode("utf-8", "replace"), ""


def _text(status: int, data: Any) -> str:
    """Find the answer, or the reason why there is none.

    Errors:  ValueError when this is neither.
    """
    try:
        if status != 200:
            return str(data["error"]["message"])
        content = data["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError) as exc:
        raise ValueError("not an answer of the proxy") from exc
    return str(content or "").strip() or "(an empty answer)"
