"""The types handed from room to room; all frozen but the Tally.

::

    Inbound -> Caller -> ChatRequest -> Plan -> Admission
            -> (per candidate) UpstreamCall -> answer -> Tally -> settle

They are msgspec structs rather than frozen dataclasses, which cost five times as much
to make, on a path that has some 80 microseconds for everything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from msgspec import Struct

from poolsite.destinations import HostPort
from poolsite.egress import Timeouts
from poolsite.secret_type import Secret
from pricing.tokens import TokenUsage
from providers.formats.base import Bridge, Op, UpstreamRequest, WireFormat
from providers.formats.base import Target as Aim
from providers.formats.errors import ErrorDetail
from providers.routing.quota_signal import QuotaSignal
from providers.routing.types import Route
from providers.snapshot.types import ClientKeyRecord
from usage.journal.records import BudgetRef, PriceRef, Target
from usage.limits.contract import Ticket

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]


class Inbound(Struct, frozen=True, kw_only=True):
    """Hold one client call as the door matched it; its body is not read yet.

    Shapes:  ``headers`` as ASGI gives them, names in lower case; ``fields`` the same
             as a mapping (the last of equal names wins). ``peer`` is the client's
             address after trusted proxies were seen through. ``path_model`` is the
             model named by the path, where the dialect has it there.
    Units:   ``received_at_ns`` wall clock nanoseconds; ``received_at`` monotonic
             seconds.
    """

    request_id: str
    received_at_ns: int
    received_at: float
    method: str
    path: str
    query: bytes
    headers: Headers
    fields: dict[bytes, bytes]
    peer: str
    wire: WireFormat
    op: Op
    path_model: str | None = None
    is_stream: bool = False


class Caller(Struct, frozen=True):
    """Say whose key it is and what the call is for.

    Shapes:  ``purpose`` client | playground | probe | verify | replay. ``session``,
             ``agent`` and ``client`` come from headers; the body may add a session.
             ``model_row`` binds a call of our own to one model at one provider,
             ``replay_of`` names the request that it repeats.
    """

    key: ClientKeyRecord
    purpose: str = "client"
    session: str = ""
    agent: str = ""
    model_row: int | None = None
    replay_of: str = ""


class Candidate(Struct, frozen=True):
    """One way to serve a request, with everything that is the same for each request.

    Shapes:  ``aim`` is what the bridge builds for, ``target`` what the ledger names.
             ``allowed`` is the one private address the provider may have;
             ``name_headers`` are the answer's x-pool-provider and x-pool-model.
             ``is_pooled_account`` keeps the vendor's rate-limit headers from the
             client: what they count is not the client's alone. ``is_plain`` = the
             price has an input and an output rate and no rule that could change them.
             ``base_url`` is the root of the chosen dialect; ``is_relay`` = nothing is
             translated on the way. ``panic`` names why it is cooling when it is asked
             all the same, for want of anybody better.
    """

    route: Route
    wire: WireFormat
    bridge: Bridge
    aim: Aim
    target: Target
    price: PriceRef
    allowed: frozenset[HostPort]
    timeouts: Timeouts
    name_headers: tuple[tuple[bytes, bytes], ...]
    is_pooled_account: bool
    is_plain: bool
    base_url: str
    is_relay: bool
    panic: str = ""


class Admission(Struct, frozen=True):
    """What was taken for a call.

    Shapes:  ``ticket`` None = the caller has no limits, or their store is away;
             ``budgets`` are the windows that pay.
    Units:   ``reservation_nano`` of the attempt ahead, nano-USD; the rest in tokens.
    """

    ticket: Ticket | None
    reservation_nano: int
    input_estimate_tokens: int
    output_reserved_tokens: int
    budgets: tuple[BudgetRef, ...] = ()


class Skip(Struct, frozen=True):
    """Say why a candidate was passed over without being asked."""

    route: Route
    reason: str
    retry_after_s: float | None = None


class UpstreamCall(Struct, frozen=True):
    """One attempt's request, ready to be sent.

    Shapes:  ``secret`` carries the origin it is bound to, None for a provider without
             one; ``marks`` are the spellings of it that must not come back.
    """

    candidate: Candidate
    url: str
    headers: dict[str, str]
    sent: UpstreamRequest
    secret: Secret | None
    marks: tuple[bytes, ...] = ()


class Failure(Struct, frozen=True):
    """Say how an attempt failed and what that means for the next step.

    Shapes:  ``kind`` is the word ``Health.report`` takes (see ``ports``). ``scope``
             names what the failure condemns: request | candidate | origin | larger.
             ``outcome`` is the journal's word. ``signal`` is what the vendor said of
             its allowance. ``is_verbatim`` allows the upstream's own body to
             reach a client of the same dialect.
    """

    kind: str
    scope: str
    outcome: str
    status: int | None
    reason: str
    detail: ErrorDetail
    retry_after_s: float | None = None
    is_transient: bool = False
    is_verbatim: bool = False
    signal: QuotaSignal | None = None


class AttemptFailedError(Exception):
    """End one attempt; the loop decides what comes next."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Tally(Struct):
    """Count what passed in one attempt; the one mutable type of the corridor.

    Shapes:  ``is_sent`` = the request may have reached the upstream, so it may bill;
             ``is_accepted`` = it answered 2xx; ``is_complete`` = the answer is whole.
    Units:   ``first_event_at`` monotonic seconds, None while nothing useful came.
    """

    usage: TokenUsage | None = None
    flags: tuple[str, ...] = ()
    vendor_cost_nano_usd: int | None = None
    model: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    finish_reasons: tuple[str, ...] = ()
    text_bytes: int = 0
    out_bytes: int = 0
    first_event_at: float | None = None
    is_sent: bool = False
    is_accepted: bool = False
    is_complete: bool = False


class Outcome(Struct, frozen=True):
    """Say how a client call ended, for the record and the metrics."""

    status: int
    outcome: str
    error_code: str = ""
    served_by: Candidate | None = None
