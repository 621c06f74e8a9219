"""A dialect around chat completions that is odd on purpose, for tests of the rooms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from msgspec.structs import replace

from providers.formats import registry
from providers.formats.base import (
    ARRIVED,
    Arrival,
    Bridge,
    ChatRequest,
    FormatError,
    Op,
    ResponseMeta,
    Route,
    Target,
    UpstreamRequest,
)
from providers.formats.errors import ErrorDetail
from providers.formats.openai_chat.dialect import ChatPassthrough, OpenAIChat
from providers.formats.taps import ClientStream, StreamTap

MODULE = "tests.providers.proxy.strange"


class Around:
    """Join chat clients with a strange upstream, which is a chat server in truth."""

    def __init__(self) -> None:
        self._chat = ChatPassthrough()
        self.headers: dict[str, str] = {}
        self.losses: tuple[str, ...] = ()
        self.urls: list[str] = []
        self.fetched: dict[str, str] = {}
        self.refuses = ""
        self.is_stream: bool | None = None
        self.aims: list[Target] = []

    def urls_to_fetch(self, request: ChatRequest, target: Target) -> list[str]:
        """Name what the upstream wants by value."""
        return self.urls

    def build_request(self, request: ChatRequest, target: Target) -> UpstreamRequest:
        """Patch like chat, with what a test asked for on top."""
        self.aims.append(target)
        if self.refuses:
            raise FormatError(self.refuses, code="not_expressible", param="n")
        self.fetched = {
            url: f"{file.media_type};{file.data}"
            for url, file in request.fetched.items()
        }
        sent = self._chat.build_request(request, replace(target, drop=frozenset()))
        return replace(sent, headers=self.headers, losses=self.losses)

    def read_response(
        self, request: ChatRequest, sent: UpstreamRequest, body: bytes
    ) -> ResponseMeta:
        """Read like chat."""
        return self._chat.read_response(request, sent, body)

    def open_tap(
        self, request: ChatRequest, sent: UpstreamRequest, stream: ClientStream
    ) -> StreamTap:
        """Read like chat."""
        return self._chat.open_tap(request, sent, stream)


AROUND = Around()


class Strange(OpenAIChat):
    """Speak chat under another name, with paths of its own."""

    id = "strange"
    version_root = "/v1"
    routes: tuple[Route, ...] = (
        Route("POST", "/v1/odd/models/{model}:ask", "chat"),
        Route("POST", "/v1/odd/models/{model}:askOn", "chat", is_stream=True),
        Route("POST", "/v1/odd/models/{model}:count", "count_tokens"),
        Route("GET", "/v1/odd/models", "models"),
        Route("POST", "/model/{model}/talk", "chat"),
        Route("GET", "/api/small-talk", "local"),
        Route("POST", "/api/strange/show", "local"),
        Route("GET", "/", "local"),
    )

    def read_request(self, body: bytes, arrival: Arrival = ARRIVED) -> ChatRequest:
        """Read like chat, whatever the path says."""
        return super().read_request(body, replace(arrival, path_model=None, op="chat"))

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Take chat clients as they are."""
        return AROUND if op == "chat" and inbound in ("openai", self.id) else None

    def models_list(self, models: Iterable[str], *, created: int = 0) -> bytes:
        """Word the list in a way of its own."""
        return b"strange: " + ",".join(models).encode()

    def local_answer(self, request: ChatRequest) -> bytes:
        """Talk."""
        return b'{"path":"%b"}' % request.arrival.path.encode()

    def count_tokens_body(self, tokens: int) -> bytes:
        """Word a count."""
        return b'{"counted":%d}' % tokens

    def error_headers(self, status: int, detail: ErrorDetail) -> Mapping[str, str]:
        """Put the kind of an error into a header."""
        return {"x-strange-error": f"{status}"}


FORMAT = Strange()


@contextmanager
def registered(*modules: str) -> Iterator[Around]:
    """Let the pool know the strange dialect, and forget it afterwards."""
    before = registry.FORMAT_MODULES
    registry.FORMAT_MODULES = (*before, *(modules or (MODULE,)))  # type: ignore[misc]
    _forget()
    AROUND.__init__()  # type: ignore[misc]
    try:
        yield AROUND
    finally:
        registry.FORMAT_MODULES = before  # type: ignore[misc]
        _forget()


def _forget() -> None:
    registry.formats.cache_clear()
    registry.bridge.cache_clear()
