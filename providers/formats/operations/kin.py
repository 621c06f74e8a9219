"""Ask an upstream as a client of its own dialect would.

A translated operation is worded as that client's request and given to the relay of the
dialect, so that every envelope around the dialect serves it too.
"""

from __future__ import annotations

import msgspec

from providers.formats.base import Bridge, ChatRequest, Target, UpstreamRequest


class Asked(msgspec.Struct, frozen=True):
    """Keep what was asked in the client's place, and what became of it."""

    request: ChatRequest
    sent: UpstreamRequest


def sent_as(
    request: ChatRequest, target: Target, bridge: Bridge, losses: tuple[str, ...]
) -> UpstreamRequest:
    """Build the request of a client in whose place we ask.

    Errors:  FormatError.
    """
    sent = bridge.build_request(request, target)
    found = tuple(dict.fromkeys((*losses, *sent.losses)))
    context = Asked(request, sent)
    return msgspec.structs.replace(sent, losses=found, context=context)


def asked_of(sent: UpstreamRequest) -> Asked:
    """Return what was asked in the client's place."""
    made = sent.context
    if not isinstance(made, Asked):  # pragma: no cover - build_request made it
        raise TypeError("This request was not built by an operation's bridge.")
    return made
