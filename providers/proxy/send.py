"""Room 5: put one attempt on the wire and wait for the head of its answer."""

from __future__ import annotations

from msgspec.structs import replace

from poolsite.destinations import EgressRefusedError, OriginMismatchError
from poolsite.egress import EgressError
from providers.proxy import verdict
from providers.proxy.exchange import AttemptFailedError, Failure, Tally, UpstreamCall
from providers.proxy.ports import Answer, UpstreamClient
from providers.proxy.watch import Watch


async def send(
    client: UpstreamClient,
    call: UpstreamCall,
    tally: Tally,
    watch: Watch,
    *,
    first_byte_s: float,
) -> Answer:
    """Send a call, return its answer with the head read.

    The secret's own origin goes along and the client compares it with the address it
    is about to open: a secret never travels anywhere else. Redirects come back as
    answers.

    Units:   ``first_byte_s`` may be shorter than the provider's own.
    Errors:  AttemptFailedError.
    """
    candidate = call.candidate
    timeouts = candidate.timeouts
    if first_byte_s < timeouts.first_byte_s:
        timeouts = type(timeouts)(
            connect_s=timeouts.connect_s,
            first_byte_s=first_byte_s,
            gap_s=timeouts.gap_s,
            total_s=None,
        )
    secret = call.secret
    # The client keeps the deadline of the head itself.
    watch.rest()
    try:
        destination = client.prepare(call.url, candidate.allowed)
        tally.is_sent = True
        return await client.send(
            destination,
            headers=call.headers,
            body=call.sent.body,
            secret_origin=None if secret is None else secret.origin,
            timeouts=timeouts,
        )
    except OriginMismatchError as error:
        tally.is_sent = False
        raise AttemptFailedError(verdict.unreadable()) from error
    except EgressError as error:
        failure = verdict.judge_transport(error.category, before_head=True)
        if failure.kind == "connect":
            tally.is_sent = False
        if isinstance(error, EgressRefusedError):
            failure = _refused_by_policy(failure)
        raise AttemptFailedError(failure) from error


def _refused_by_policy(failure: Failure) -> Failure:
    """Name our own refusal: an owner looks for it in the attempt trail."""
    return replace(failure, reason="address refused by policy", is_transient=False)
