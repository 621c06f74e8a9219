"""The cheapest honest upstream: canned answers from one asyncio protocol.

It shares a core with the load generator, so it must cost little: no parsing beyond the
length of the body, one write for a JSON answer, one write per event for a stream, so
that the floor and the product both see the hundred events one by one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from typing import cast

from bench import dialects
from bench.dialects import COMPLETION_TOKENS, DELTAS, PROMPT_TOKENS, TEXT
from bench.tools import first_in_line


def _chat(kind: str, choice: dict[str, object] | None, usage: bool) -> bytes:
    body: dict[str, object] = {
        "id": "chatcmpl-bench",
        "object": kind,
        "created": 1_767_225_600,
        "model": "bench",
        "choices": [choice] if choice else [],
    }
    if usage:
        body["usage"] = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": COMPLETION_TOKENS,
            "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
        }
    return json.dumps(body, separators=(",", ":")).encode()


def json_body() -> bytes:
    """Return the canned JSON answer, about 600 bytes."""
    message = {"role": "assistant", "content": TEXT * 5}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return _chat("chat.completion", choice, usage=True)


def stream_events() -> list[bytes]:
    """Return the events of a stream: content, finish, usage; the end mark follows."""
    kind = "chat.completion.chunk"
    deltas = [{"content": text} for text in DELTAS]
    choices = [{"index": 0, "delta": d, "finish_reason": None} for d in deltas]
    events = [_chat(kind, dict(choice), usage=False) for choice in choices]
    finish = {"index": 0, "delta": {}, "finish_reason": "stop"}
    events.append(_chat(kind, dict(finish), usage=False))
    events.append(_chat(kind, None, usage=True))
    return [b"data: " + event + b"\n\n" for event in events]


def _http(body: bytes) -> bytes:
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


ANSWER = _http(json_body())


def _stream_head(content_type: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n"
    return head.encode() + b"transfer-encoding: chunked\r\n\r\n"


STREAM_HEAD = _stream_head("text/event-stream")
CHUNKS = [_chunked(event) for event in stream_events()]
STREAM_END = _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"


OTHERS = {
    mark: (_stream_head(content_type), [_chunked(frame) for frame in frames])
    for mark, (content_type, frames) in dialects.streams().items()
}


class Canned(asyncio.Protocol):
    """Answer every request on the connection; stream when the body asks for it."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; uvloop's is not an asyncio.Transport by class."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            stop = end + 4
            mark = head.find(b"content-length:")
            if mark >= 0:
                stop += int(head[mark + 15 :].split(b"\r\n", 1)[0])
            if len(self.buffer) < stop:
                return
            body = self.buffer[end + 4 : stop]
            self.buffer = self.buffer[stop:]
            self.answer(head.split(b"\r\n", 1)[0], body)

    def answer(self, line: bytes, body: bytes) -> None:
        """Write one canned answer; a body that says hold gets no end."""
        write = self.transport.write
        if b"/chat/completions" not in line:
            for mark, (opening, chunks) in OTHERS.items():
                if mark.lower() in line:
                    write(opening)
                    for chunk in chunks:
                        write(chunk)
                    write(b"0\r\n\r\n")
                    return
        if b'"stream":true' not in body and b'"stream": true' not in body:
            write(ANSWER)
            return
        write(STREAM_HEAD)
        if b'"hold"' in body:
            write(CHUNKS[0])
            return
        for chunk in CHUNKS:
            write(chunk)
        write(STREAM_END)


async def serve(port: int) -> None:
    """Serve until a signal."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(Canned, "127.0.0.1", port, backlog=4_096)
    async with server:
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    first_in_line()
    asyncio.run(serve(parser.parse_args().port))
