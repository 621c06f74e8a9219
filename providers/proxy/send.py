"""Room 5: put one attempt on the wire and wait for the head of its answer."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from poolsite.destinations import (
    Category,
    Destination,
    EgressRefusedError,
    HostPort,
    NotConnectedError,
    OriginMismatchError,
)
from poolsite.egress import EgressError
from providers.formats.cli_backed.command import is_program
from providers.proxy import verdict
from providers.proxy import watch as watches
from providers.proxy.exchange import AttemptFailedError, Failure, Tally, UpstreamCall
from providers.proxy.ports import Answer, UpstreamClient
from providers.proxy.subprocesses import Programs
from providers.proxy.watch import Watch

_MOST_JUDGED: Final = 10_000


class Sender:
    """Send calls, and remember which destinations were judged already.

    A judgement depends on the URL, the provider's permission and the client's fixed
    policy alone; every new socket is judged again, by the address it really gets.
    """

    __slots__ = ("_client", "_judged", "_programs")

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client
        self._judged: dict[tuple[str, frozenset[HostPort]], Destination] = {}
        self._programs = Programs()

    async def send(
        self, call: UpstreamCall, tally: Tally, watch: Watch, *, first_byte_s: float
    ) -> Answer:
        """Send a call, return its answer with the head read.

        The secret's own origin goes along and the client compares it with the address
        it is about to open: a secret never travels anywhere else. Redirects come back
        as answers.

        Units:   ``first_byte_s`` until the head is here, the connection included.
        Errors:  AttemptFailedError; the watch interrupts a head that is late.
        """
        if is_program(call.candidate.wire.id):
            return await self._programs.run(call, tally, watch)
        secret = call.secret
        try:
            destination = self._destination(call.url, call.candidate.allowed)
            tally.is_sent = True
            watch.expect(watches.FIRST_BYTE, first_byte_s)
            return await self._client.send(
                destination,
                headers=call.headers,
                body=call.sent.body or None,
                secret_origin=None if secret is None else secret.origin,
                timeouts=call.candidate.timeouts,
                method=call.sent.method,
            )
        except OriginMismatchError as error:
            tally.is_sent = False
            raise AttemptFailedError(verdict.unreadable()) from error
        except NotConnectedError as error:
            tally.is_sent = False
            reason, is_reset = error.category.value, error.category is Category.RESET
            failure = verdict.unreachable(reason, is_transient=is_reset)
            raise AttemptFailedError(failure) from error
        except EgressError as error:
            failure = verdict.judge_transport(error.category, before_head=True)
            if failure.kind == "connect":
                tally.is_sent = False
            if isinstance(error, EgressRefusedError):
                failure = _refused_by_policy(failure)
            raise AttemptFailedError(failure) from error

    async def close(self) -> None:
        """End the programs that run in the place of calls."""
        await self._programs.close()

    def _destination(self, url: str, allowed: frozenset[HostPort]) -> Destination:
        known = self._judged.get((url, allowed))
        if known is None:
            known = self._client.prepare(url, allowed)
            if len(self._judged) >= _MOST_JUDGED:
                self._judged.clear()
            self._judged[(url, allowed)] = known
        return known


def _refused_by_policy(failure: Failure) -> Failure:
    """Name our own refusal: an owner looks for it in the attempt trail."""
    return replace(failure, reason="address refused by policy", is_transient=False)
