"""Ask again what a request asked, with a body the caller brings.

Prompts are not part of the ledger, so a replay needs the body from outside. It goes
through our own front door as the same client key with the purpose ``replay``: priced,
limited and recorded like every call, kept out of what dashboards show of clients, and
its trail names the request it repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec
from django.conf import settings

from poolsite import audit
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.crypto import make_internal_token
from poolsite.destinations import EgressError, Vetter
from poolsite.egress_control import ControlClient
from providers.services.errors import ServiceError
from providers.services.request_facts import path_of
from usage import log
from usage.log import RequestDetail
from usage.models import ClientKey

_CLOCK = SystemClock()
_MOST_BYTES: Final = 10 * 1024 * 1024
_ANSWER_BYTES: Final = 10 * 1024 * 1024
_WITHIN_S: Final = 120.0


@dataclass(frozen=True)
class Replayed:
    """What came back.

    Shapes:  ``status`` None = the proxy did not answer, ``body`` then says why.
    """

    status: int | None
    body: str
    request_id: str = ""
    latency_ms: int = 0


def replay(
    actor: Actor, request_id: UUID, body: bytes, *, clock: Clock = _CLOCK
) -> Replayed:
    """Ask again; costs what the model costs, and counts against the key's limits.

    Shapes:  ``body`` is JSON in the dialect the request came in.
    Errors:  ServiceError: no such request, its key is gone, the body is no JSON object.
    Fails:   never raises for what the proxy answers.
    """
    found = log.detail(request_id)
    if found is None:
        raise ServiceError("There is no such request.", field="id")
    _check(body)
    key = _key(found)
    _note(actor, found)
    address = settings.CONFIG.own_address
    token = make_internal_token(
        settings.ROOTS.secret_key,
        key_id="" if key is None else key.public_id,
        purpose="replay",
        clock=clock,
    )
    headers = {
        "authorization": f"Bearer {token.reveal()}",
        "content-type": "application/json",
        "x-pool-replay-of": str(request_id),
    }
    client = ControlClient(
        Vetter([address]),
        read_timeout_s=_WITHIN_S,
        deadline_s=_WITHIN_S,
        limit_bytes=_ANSWER_BYTES,
    )
    try:
        with client:
            answer = client.send(
                client.prepare(f"http://{address}{path_of(found)}"),
                headers=headers,
                body=body,
                secret_origin=None,  # the token is for this very address
                method="POST",
            )
    except EgressError as exc:
        return Replayed(None, f"The proxy does not answer ({exc.category}).")
    return Replayed(
        answer.status,
        answer.body.decode("utf-8", "replace"),
        answer.headers.get("x-pool-request-id", ""),
        answer.elapsed_ms,
    )


def _check(body: bytes) -> None:
    if len(body) > _MOST_BYTES:
        limit = _MOST_BYTES // (1024 * 1024)
        raise ServiceError(f"The body is larger than {limit} MB.", field="body")
    try:
        members: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        members = None
    if not isinstance(members, dict):
        raise ServiceError("The body is not a JSON object.", field="body")


def _key(found: RequestDetail) -> ClientKey | None:
    """Return the key whose limits apply, None for a call that was the pool's own."""
    key_id = found.request.row.client_key_id
    if key_id is None:
        return None
    key = ClientKey.objects.filter(pk=key_id, revoked_at=None).first()
    if key is None:
        raise ServiceError("Its client key is revoked: nobody may ask as that key.")
    return key


@one_change
def _note(actor: Actor, found: RequestDetail) -> None:
    audit.record(
        actor,
        "request.replay",
        after={"request": str(found.request.id), "model": found.request.model},
    )
