"""What the journal remembers: records, their encoding and their frame.

A record is a msgspec Struct, written as MessagePack inside a frame of 4 bytes length,
4 bytes check sum and payload (little endian). MessagePack and JSON encode at the same
speed here (0.26 us for a settle); MessagePack is 27 % smaller and decodes faster, and
nobody reads a journal by eye. The check sum is ``zlib.crc32``, which the interpreter
ships in C; CRC-32C finds the same torn tails but would be one more native dependency.
It is seeded with the length, so that a damaged length is found as well.

Evolution: a new field needs a default. A change of meaning needs a higher ``v``, which
its writer sets; the default stays 1, because a default is not written. A reader meets
the records of the release before it, left behind by a killed process.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import Struct as Layout
from typing import Any, Final

import msgspec
from msgspec import Struct

from pricing.cost import PriceSpec
from pricing.tokens import TokenUsage

FRAME: Final = Layout("<II")
MAX_PAYLOAD: Final = 8 * 1024 * 1024
"""A longer frame is damage, not data: records are a few hundred bytes."""

# Outcomes of attempts and requests. Free text on the wire, so that a newer data
# process never fails to record; these are the words the product itself writes.
OK: Final = "ok"
CRASHED: Final = "crashed"
CLIENT_CLOSED: Final = "client_closed"
CUT: Final = "cut"
REFUSED: Final = "refused"
TIMEOUT: Final = "timeout"
CONNECT_ERROR: Final = "connect_error"
UPSTREAM_ERROR: Final = "upstream_error"

# Decisions taken after an attempt, the vocabulary of the attempt trail.
SERVED: Final = "served"
RETRY_SAME: Final = "retry_same"
NEXT_CREDENTIAL: Final = "next_credential"
NEXT_MODEL: Final = "next_model"
NEXT_PROVIDER: Final = "next_provider"
WAIT: Final = "wait"
SWITCH_PROVIDER: Final = "switch_provider"
SWITCH_MODEL: Final = "switch_model"
FAIL_FAST: Final = "fail_fast"
EXHAUSTED: Final = "exhausted"

BudgetRef = tuple[int, str]
"""A budget window: (budget id, window id)."""

BudgetDelta = tuple[int, str, int]
"""What one attempt adds to one budget window: (budget id, window id, nano-USD)."""


class JournalFormatError(ValueError):
    """A frame or its payload cannot be read."""


class RequestHead(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Say who asked for what; written once with the first intent and with settles.

    Shapes:  ``request_id`` is the UUIDv7 as text; ``needs`` a bit mask of capabilities;
             ``agent``, ``session`` and ``end_user`` are empty when the call names none.
             ``replay_of`` is the id of the request that this one repeats.
    Units:   ``at_ns`` is wall clock nanoseconds, the time that picks the partition.
    """

    request_id: str
    at_ns: int
    client_key_id: int | None = None
    team_id: int | None = None
    purpose: str = "client"
    dialect: str = ""
    asked_model: str = ""
    stream: bool = False
    session: str = ""
    agent: str = ""
    end_user: str = ""
    needs: int = 0
    input_estimate_tokens: int | None = None
    mode: str = ""
    strategy: str = ""
    replay_of: str = ""


class Target(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Name one candidate: provider, credential and model, as they were at the time."""

    provider_id: int
    provider_slug: str
    credential_kind: str = ""
    credential_id: int | None = None
    credential_mask: str = ""
    model_row_id: int | None = None
    upstream_model: str = ""


class PriceRef(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Keep the price that was in force at admission; a later one never applies."""

    spec: PriceSpec | None = None
    version_id: int | None = None
    source: str = ""


class AttemptIntent(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="intent"
):
    """Announce an upstream call before its first byte goes out.

    Shapes:  ``head`` is present in a request's first intent only. ``budgets`` names the
             windows that hold the reservation, so that an orphan can be billed to them.
    Units:   ``reservation_nano`` in nano-USD, None when the model is unpriced.
    """

    v: int = 1
    request_id: str
    attempt_id: str
    attempt_no: int
    started_at_ns: int
    target: Target
    head: RequestHead | None = None
    reservation_nano: int | None = None
    input_estimate_tokens: int | None = None
    price: PriceRef = PriceRef()
    budgets: tuple[BudgetRef, ...] = ()


class Progress(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="progress"
):
    """Say how far a running attempt has come (first at its first useful event, then
    every 2 s or 4 KB of output).

    Shapes:  ``usage`` holds what the vendor reported so far and nothing estimated.
    Units:   ``ttft_ms`` counts from the attempt's start; None = not noted.
    """  # noqa: D205 - one sentence

    v: int = 1
    request_id: str
    attempt_id: str
    at_ns: int
    output_bytes: int = 0
    estimated_output_tokens: int | None = None
    usage: TokenUsage | None = None
    first_event: bool = False
    ttft_ms: int | None = None


class AttemptSettle(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Close one attempt: what happened, what it used, what it cost.

    Shapes:  ``usage`` None = nothing was reported or estimated. ``vendor_cost`` is the
             vendor's own decimal text in USD, kept beside ``cost_nano``.
             ``budget_deltas`` is what each budget window is charged. ``losses`` names
             what a translation left behind, as ``field:action`` with commas between.
    Units:   ``cost_nano`` in nano-USD, None = unknown, 0 = free.
    """

    request_id: str
    attempt_id: str
    attempt_no: int
    started_at_ns: int
    target: Target
    outcome: str
    decision: str = ""
    status: int | None = None
    error_class: str = ""
    reason: str = ""
    usage: TokenUsage | None = None
    estimated: bool = False
    cost_nano: int | None = None
    vendor_cost: str | None = None
    service_tier: str | None = None
    price: PriceRef = PriceRef()
    reservation_nano: int | None = None
    latency_ms: int | None = None
    ttft_ms: int | None = None
    budget_deltas: tuple[BudgetDelta, ...] = ()
    losses: str = ""


class RequestSettle(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Close one client call; also one that was refused before any attempt.

    Shapes:  ``usage`` and ``cost_nano`` are sums over the attempts; ``cost_nano`` is
             None when no attempt has a known cost, ``unpriced`` says that at least one
             used something without a known price. ``skipped`` names candidates that
             were not asked, each with its reason, ``notes`` what else decided the way:
             rules, waiting.
    Units:   ``overhead_us`` is the time the pool itself took, upstreams left out.
    """

    status: int
    outcome: str
    error_code: str = ""
    serving_attempt_id: str | None = None
    attempts: int = 0
    usage: TokenUsage | None = None
    cost_nano: int | None = None
    unpriced: bool = False
    estimated: bool = False
    latency_ms: int | None = None
    ttft_ms: int | None = None
    loss: str = ""
    overhead_us: int | None = None
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Settle(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="settle"
):
    """Close an attempt, a request, or the last attempt and its request in one write.

    Shapes:  the head is repeated, so that one settle can be recorded without looking
             for the intent that belongs to it.
    """

    v: int = 1
    head: RequestHead
    attempt: AttemptSettle | None = None
    request: RequestSettle | None = None


class Fact(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="fact"):
    """Carry something learned (a cooldown, a format, a refusal) to its durable row.

    Shapes:  ``key`` names the row in the words of the sink that owns ``kind``.
    """

    v: int = 1
    kind: str
    key: str
    at_ns: int
    payload: dict[str, Any] = {}


Record = AttemptIntent | Progress | Settle | Fact

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Record)
_HEAD: Final = FRAME.size


def frame(record: Record) -> bytes:
    """Encode one record with its frame, ready to be appended.

    Errors: JournalFormatError for a payload above ``MAX_PAYLOAD``; msgspec's own for a
        fact whose payload cannot be encoded.
    Cost:   about 1 us.
    """
    payload = _encoder.encode(record)
    size = len(payload)
    if size > MAX_PAYLOAD:
        raise JournalFormatError(f"A record of {size} bytes is too long.")
    return FRAME.pack(size, zlib.crc32(payload, size)) + payload


def decode(payload: bytes | memoryview) -> Record:
    """Read a payload whose check sum was good.

    Errors: JournalFormatError when this release does not know its shape.
    """
    try:
        record: Record = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise JournalFormatError(str(error)) from error
    return record


def frames(data: bytes | memoryview) -> Iterator[tuple[memoryview, int]]:
    """Walk the intact frames at the start of some bytes.

    Shapes:  yields (payload, offset after its frame) and ends before the first frame
             that is short, empty, too long or fails its check sum. Where it ended is
             the last offset yielded; the caller knows whether more bytes may come.
    """
    view = memoryview(data)
    start = 0
    while start + _HEAD <= len(view):
        size, check = FRAME.unpack_from(view, start)
        end = start + _HEAD + size
        # A run of zeros, as a file system leaves after power loss, has size 0.
        if not 0 < size <= MAX_PAYLOAD or end > len(view):
            return
        payload = view[start + _HEAD : end]
        if zlib.crc32(payload, size) != check:
            return
        yield payload, end
        start = end
