"""Short cuts of the tests of what is not chat."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from providers.formats import registry
from providers.formats.base import Arrival, ChatRequest, ResponseMeta, Target

FIXTURES = {
    path.stem: json.loads(path.read_text())
    for path in sorted(
        (Path(__file__).parent.parent / "fixtures/operations").glob("*.json")
    )
}
PATHS = {
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "images": "/v1/images/generations",
    "speech": "/v1/audio/speech",
    "transcription": "/v1/audio/transcriptions",
    "moderations": "/v1/moderations",
    "rerank": "/v1/rerank",
}
BOUNDARY = "----poolboundary42"


def asked(op: Any, path: str = "", **fields: Any) -> ChatRequest:
    """Read a JSON request as an OpenAI client sends it."""
    arrival = Arrival(op=op, path=path or PATHS[op])
    body = json.dumps({"model": "house", **fields}).encode()
    return registry.get("openai").read_request(body, arrival)


def form(*parts: tuple[str, bytes | str], files: tuple[str, ...] = ("file",)) -> bytes:
    """Word a form."""
    out = b""
    for name, value in parts:
        data = value.encode() if isinstance(value, str) else value
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
        if name in files:
            head += '; filename="a.bin"\r\nContent-Type: application/octet-stream'
        out += head.encode() + b"\r\n\r\n" + data + b"\r\n"
    return out + f"--{BOUNDARY}--\r\n".encode()


def sent_form(op: Any, body: bytes, path: str = "") -> ChatRequest:
    """Read a form as an OpenAI client sends it."""
    fields = {b"content-type": f"multipart/form-data; boundary={BOUNDARY}".encode()}
    arrival = Arrival(op=op, path=path or PATHS[op], fields=fields)
    return registry.get("openai").read_request(body, arrival)


class Way:
    """One request on its way to one upstream and back."""

    def __init__(
        self, request: ChatRequest, upstream: str = "openai", model: str = "up"
    ) -> None:
        self.request = request
        bridge = registry.bridge(request.dialect, upstream, model, request.arrival.op)
        assert bridge is not None
        self.bridge = bridge
        self.sent = bridge.build_request(request, Target(model=model))

    @property
    def body(self) -> Any:
        return json.loads(self.sent.body)

    def back(self, answer: Any) -> ResponseMeta:
        """Read a whole answer."""
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return self.bridge.read_response(self.request, self.sent, data)

    def told(self, answer: Any) -> Any:
        """Return what the client is told."""
        meta = self.back(answer)
        assert meta.error is None, meta.error
        return json.loads(meta.body)

    def tap(self) -> Any:
        wire = registry.get(self.request.dialect)
        stream = wire.open_stream(self.request, request_id="r")
        return self.bridge.open_tap(self.request, self.sent, stream)

    def streamed(self, data: bytes, size: int = 0) -> tuple[bytes, Any]:
        """Feed a stream in pieces, whole if no size is given; return it and its tap."""
        tap = self.tap()
        step = size or len(data) or 1
        out = b"".join(
            tap.feed(data[at : at + step]) for at in range(0, len(data), step)
        )
        return out + tap.eof(), tap

    def everywhere(self, data: bytes) -> tuple[bytes, Any]:
        """Feed a stream cut in every way; all must come to the same."""
        out, tap = self.streamed(data)
        rng = random.Random(7)
        for size in (1, 2, 7, *(rng.randint(1, 90) for _ in range(5))):
            again, other = self.streamed(data, size)
            assert again == out
            assert (other.complete, other.usage) == (tap.complete, tap.usage)
        return out, tap


def events(data: bytes) -> list[Any]:
    """Return the payloads of a stream."""
    lines = [line for line in data.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line[6:]) for line in lines]
