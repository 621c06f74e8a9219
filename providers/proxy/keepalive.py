"""Open the pool's own side of a client's stream, and keep it alive through silence."""

from __future__ import annotations

from functools import partial

from providers.proxy import heads
from providers.proxy.call import Call
from providers.proxy.exchange import Headers


def open_stream(call: Call) -> None:
    """Prepare what the pool itself may have to say inside the client's stream.

    After ``keepalive_after_s`` without a byte the answer is opened with a content-free
    frame; the candidates may still change until the first useful event.
    """
    inbound, settings = call.inbound, call.settings
    call.stream = inbound.wire.open_stream(call.request, request_id=inbound.request_id)
    if settings.keepalive_after_s > 0:
        call.watch.on_silence(partial(_keep_alive, call), settings.keepalive_after_s)


def _keep_alive(call: Call) -> float:
    """Send a frame when nothing was written since the last look."""
    reply = call.reply
    if call.stream is not None and reply.writes == call.writes_seen:
        head: Headers = [(b"x-pool-request-id", call.request_id)]
        head = heads.stream_head(head, heads.stream_type(call))
        reply.pulse(head, call.stream.keepalive)
    call.writes_seen = reply.writes
    return call.settings.keepalive_every_s
