"""Google's Code Assist as a wire format: Gemini inside an envelope.

What Gemini CLI asks for beside a generation (its tier, its quota, experiments) is
answered by the pool itself: the account behind it is nobody's business.

Source: reference wire 1.6 and 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from providers.formats.base import (
    ARRIVED,
    Arrival,
    Bridge,
    ChatRequest,
    Op,
    Route,
    Target,
    WireFormat,
)
from providers.formats.errors import ErrorDetail
from providers.formats.gemini_generate.codec import GeminiCodec
from providers.formats.gemini_generate.dialect import FORMAT as GEMINI
from providers.formats.gemini_generate.encoder import SSE_TYPE, GeminiClientStream
from providers.formats.gemini_generate.peek import WRAPPED, read_gemini_request
from providers.formats.gemini_generate.platform import METHODS, Platform
from providers.formats.gemini_generate.relay import relays_of
from providers.formats.neutral.codec import Codec
from providers.formats.taps import ClientStream

_ROOT: Final = "/v1internal"
_PROJECT: Final = "provider-pool"
_TIER: Final = {
    "id": "standard-tier",
    "name": "Provider Pool",
    "description": "Served by a pool of providers.",
    "userDefinedCloudaicompanionProject": False,
    "isDefault": True,
}
_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "loadCodeAssist": {
        "currentTier": _TIER,
        "allowedTiers": [_TIER],
        "cloudaicompanionProject": _PROJECT,
        "gcpManaged": False,
    },
    "onboardUser": {
        "name": "operations/onboarded",
        "done": True,
        "response": {"cloudaicompanionProject": {"id": _PROJECT, "name": _PROJECT}},
    },
    "retrieveUserQuota": {"buckets": []},
    "listExperiments": {"experimentIds": [], "flags": []},
    "recordCodeAssistMetrics": {},
    "fetchAdminControls": {},
}


def _locate(model: str, method: str, options: Mapping[str, str]) -> str:
    return f"{_ROOT}:{method}"


PLATFORM: Final = Platform(id=WRAPPED, locate=_locate, wraps=True)
"""Code Assist; its base URL is the bare host, the path has the version."""


class CodeAssist:
    """Speak Code Assist on either side."""

    id = WRAPPED
    routes: tuple[Route, ...] = (
        Route("POST", f"{_ROOT}:generateContent", "chat"),
        Route("POST", f"{_ROOT}:streamGenerateContent", "chat", is_stream=True),
        Route("POST", f"{_ROOT}:countTokens", "count_tokens"),
        *(Route("POST", f"{_ROOT}:{name}", "local") for name in _ANSWERS),
    )
    stream_content_type = SSE_TYPE

    def read_request(self, body: bytes, arrival: Arrival = ARRIVED) -> ChatRequest:
        """Peek into a request; the model stands in the envelope."""
        return read_gemini_request(body, arrival, dialect=WRAPPED)

    def local_answer(self, request: ChatRequest) -> bytes:
        """Answer what needs no upstream."""
        name = request.arrival.path.rpartition(":")[2]
        return msgspec.json.encode(_ANSWERS.get(name, {}))

    def open_stream(self, request: ChatRequest, *, request_id: str) -> ClientStream:
        """Return the writer of one client's stream."""
        return GeminiClientStream(request)

    def build_error(
        self, status: int, detail: ErrorDetail, *, request_id: str
    ) -> tuple[int, bytes]:
        """Word an error as Google does."""
        return GEMINI.build_error(status, detail, request_id=request_id)

    def models_list(self, models: Iterable[str], *, created: int = 0) -> bytes:
        """Word the list of models; the platform itself has none."""
        return GEMINI.models_list(models, created=created)

    def model_body(self, model: str, *, created: int = 0) -> bytes:
        """Word one model."""
        return GEMINI.model_body(model, created=created)

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return the path below the bare host."""
        if op in METHODS:
            return PLATFORM.path(op, Target(model=model), stream=stream)
        return f"{_ROOT}:loadCodeAssist"

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return the bearer header."""
        return {"authorization": f"Bearer {secret}"}

    def read_error(self, status: int, body: bytes) -> ErrorDetail:
        """Read an upstream's error, which may stand in a list."""
        return GEMINI.read_error(status, body)

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Relay clients that speak Gemini, in the envelope or without."""
        if op not in ("chat", "count_tokens"):
            return None
        return _RELAYS.get((inbound, op == "chat"))

    def codec(self, model: str) -> Codec | None:
        """Return the translator."""
        return _CODEC


_CODEC: Final = GeminiCodec(PLATFORM)
_RELAYS: Final = relays_of(PLATFORM)

FORMAT: Final[WireFormat] = CodeAssist()
