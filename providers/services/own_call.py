"""Make the product's own model calls through its own front door.

They carry a 60 s internal token that names the client key whose limits apply and the
purpose, so they are priced, limited and recorded like every other request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings

from poolsite.clock import Clock, SystemClock
from poolsite.crypto import make_internal_token
from poolsite.destinations import EgressError, Vetter
from poolsite.egress_control import ControlClient
from usage.models import ClientKey

_CLOCK = SystemClock()
_TIMEOUT_S = 60.0


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
    url = f"http://{address}/v1/chat/completions"
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
