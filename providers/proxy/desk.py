"""Answer what makes no use of a model: lists of names, counts, a dialect's small talk.

Nothing of it costs money and nothing is recorded. A count of tokens is asked of the
upstream where it speaks the client's dialect, since it knows best, and estimated where
it does not or fails: a client must never be left without a number.

Source: reference wire 4.8, P110.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from pricing.estimate import Reservation
from providers.formats.base import (
    NEED_NAMES,
    UNREADABLE,
    Arrival,
    ChatRequest,
    FormatError,
)
from providers.formats.jsonspans import read_members
from providers.proxy import admit, authenticate, body, nobody, plan, stream, translate
from providers.proxy.call import Call
from providers.proxy.closing import Closing
from providers.proxy.errors import ClientError, LimitReachedError, from_format_error
from providers.proxy.exchange import (
    AttemptFailedError,
    Candidate,
    Inbound,
    Receive,
    Tally,
)
from providers.proxy.ports import Parts
from providers.proxy.scopes import ScopeBook
from providers.proxy.send import Sender
from providers.proxy.signing import Signers
from providers.proxy.translate import Vault
from providers.proxy.wishes import way_of_call
from providers.routing.lineups import line_up

OPS: Final = frozenset({"models", "model", "local", "count_tokens"})
_COUNT_WITHIN_S: Final = 10.0
_COUNT_LIMIT_BYTES: Final = 1024 * 1024
_NOTHING: Final = b"{}"
_NO_TOKENS: Final = Reservation(0, 0, 0)


class Asking(msgspec.Struct, frozen=True):
    """What it takes to ask an upstream: the caller's limits, a secret, the wire."""

    scopes: ScopeBook
    admitter: admit.Admitter
    vault: Vault
    signers: Signers
    sender: Sender


class Desk:
    """Answer at once; one object a process."""

    __slots__ = ("_asking", "_closing", "_parts", "_rules")

    def __init__(
        self, parts: Parts, closing: Closing, rules: plan.PlanRules, asking: Asking
    ) -> None:
        self._parts = parts
        self._closing = closing
        self._rules = rules
        self._asking = asking

    async def answer(self, call: Call, receive: Receive) -> None:
        """Answer one of ``OPS``.

        Errors:  ProxyError.
        """
        op = call.inbound.op
        if op == "count_tokens":
            await self._count(call, receive)
        elif op == "local":
            await self._small_talk(call, receive)
        else:
            await self._tell_models(call)

    async def _tell_models(self, call: Call) -> None:
        """Tell the names this key may ask for, or one of them."""
        wire = call.inbound.wire
        visible = call.snapshot.visible_models(call.caller.key)
        if call.inbound.op == "models":
            told = wire.models_list([model.name for model in visible])
        else:
            asked = (call.inbound.path_model or "").removeprefix("models/")
            found = [model for model in visible if model.name == asked]
            if not found:
                raise nobody.unknown_model(call.snapshot, call.caller, asked)
            told = wire.model_body(asked, created=found[0].created_s)
        await self._closing.told(call, told)

    async def _small_talk(self, call: Call, receive: Receive) -> None:
        """Let the dialect answer by itself; a model it is asked about must exist.

        It is told what that model can do, as far as that is known.
        """
        inbound = call.inbound
        data = b""
        if inbound.method not in ("GET", "HEAD"):
            data = await body.read_body(inbound, receive, call.settings, call.watch)
            call.watch.listen(receive)
        request = _small_request(inbound, data)
        if request.model:
            found = nobody.resolve(call.snapshot, call.caller, request.model)
            first = found.some(1)[0].model
            request.needs = sum(NEED_NAMES.get(name, 0) for name in first.capabilities)
            request.context_window = first.context_window
        try:
            told: bytes = inbound.wire.local_answer(request)  # type: ignore[attr-defined]
        except FormatError as error:
            raise from_format_error(error) from error
        await self._closing.told(call, told)

    async def _count(self, call: Call, receive: Receive) -> None:
        request = await self._request(call, receive)
        found = nobody.resolve(call.snapshot, call.caller, request.model)
        wire = call.inbound.wire
        way = way_of_call(call)
        wish = plan.Wish(
            wire,
            request.model,
            needs_price=False,
            op="count_tokens",
            exclude=way.exclude,
            mode=way.mode,
        )
        lineup = line_up(
            found,
            way,
            found.take_turn(),
            pulse=self._parts.pulse,
            now=self._parts.clock.monotonic(),
        )
        ways = plan.Plan(lineup, call.caller, wish, self._rules)
        candidate = ways.next()
        told = None
        if candidate is not None:
            told = await self._asked(call, request, candidate)
        elif nobody.is_forbidden(ways):
            raise nobody.nothing_left(ways, request.model)
        if told is None:
            tokens = admit.estimate(request)
            worded = getattr(wire, "count_tokens_body", None)
            told = _plain_count(tokens) if worded is None else worded(tokens)
        await self._closing.told(call, told)

    async def _asked(
        self, call: Call, request: ChatRequest, candidate: Candidate
    ) -> bytes | None:
        """Ask an upstream to count, None when it does not.

        It counts against the caller's rates like any call; a caller whose rates are
        used up gets the estimate, which costs nobody anything.
        """
        watch, asking = call.watch, self._asking
        limited = asking.scopes.of(call.caller, call.snapshot, call.recorder.session)
        try:
            call.admission = await asking.admitter.admit(
                call.inbound.request_id, limited, _NO_TOKENS, 0
            )
            call.recorder.attempts += 1
            opened = asking.vault.open(candidate)
            out = translate.build_call(call.inbound, request, candidate, opened)
            out = await asking.signers.signed(out)
            answer = await asking.sender.send(
                out, Tally(), watch, first_byte_s=_COUNT_WITHIN_S
            )
            try:
                data = await stream.read_whole(
                    answer, watch, gap_s=_COUNT_WITHIN_S, limit=_COUNT_LIMIT_BYTES
                )
            finally:
                answer.close()
            if not 200 <= answer.status < 300:
                return None
            meta = candidate.bridge.read_response(request, out.sent, data)
        except (AttemptFailedError, FormatError, LimitReachedError):
            return None
        except asyncio.CancelledError:
            if watch.gone or watch.claim() is None:
                raise
            return None
        return (
            None if meta.error is not None else translate.scrubber(out.marks)(meta.body)
        )

    async def _request(self, call: Call, receive: Receive) -> ChatRequest:
        inbound = call.inbound
        data = await body.read_body(inbound, receive, call.settings, call.watch)
        call.watch.listen(receive)
        call.request = translate.read_request(inbound, data or _NOTHING)
        call.recorder.describe(call.request, authenticate.late_session(inbound))
        return call.request


def _small_request(inbound: Inbound, data: bytes) -> ChatRequest:
    """Read what these requests have in common: at most the name of a model.

    Errors:  ClientError 400.
    """
    try:
        members = read_members(data or _NOTHING)
        raw = members.values.get("model") or members.values.get("name")
        model = "" if raw is None else msgspec.json.decode(raw, type=str)
    except (*UNREADABLE, msgspec.ValidationError):
        raise ClientError(
            "The request body is not valid JSON.", code="invalid_json"
        ) from None
    return ChatRequest(
        dialect=inbound.wire.id,
        body=data,
        model=inbound.path_model or model,
        members=members,
        arrival=Arrival(
            op=inbound.op,
            path=inbound.path,
            path_model=inbound.path_model,
            query=inbound.query,
            fields=inbound.fields,
        ),
    )


def _plain_count(tokens: int) -> bytes:
    return msgspec.json.encode({"input_tokens": tokens})
