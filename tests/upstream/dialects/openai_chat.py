"""OpenAI chat completions as a vendor would answer them."""

from __future__ import annotations

import json
import random
import re

from tests.upstream.answer import Answer, Ask, Segment, document
from tests.upstream.content import choose, prompt_tokens
from tests.upstream.dialects.openai_reply import Reply, event_of
from tests.upstream.scenario import Scenario

_HTML = b"<html><head><title>Sign in</title></head><body>Captive portal</body></html>"
_ERRORS = {
    400: ("invalid_request_error", "unsupported_parameter"),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("permission_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    413: ("invalid_request_error", "request_too_large"),
    422: ("invalid_request_error", "invalid_value"),
    429: ("tokens", "rate_limit_exceeded"),
    503: ("server_error", "overloaded"),
    529: ("overloaded_error", "overloaded"),
}


class ChatCompletions:
    """The dialect of `/v1/chat/completions`."""

    name = "openai-chat"

    def matches(self, method: str, path: str) -> bool:
        """Serve any base path, vendors differ in it."""
        return method == "POST" and path.endswith("/chat/completions")

    def parse(self, path: str, body: bytes) -> Ask:
        """Read a request; refuse what OpenAI refuses."""
        payload = json.loads(body)
        if not isinstance(payload, dict) or not isinstance(payload.get("model"), str):
            raise ValueError("you must provide a model parameter")  # noqa: TRY004
        if not isinstance(payload.get("messages"), list):
            raise ValueError("you must provide a messages parameter")  # noqa: TRY004
        if payload.get("stream_options") and not payload.get("stream"):
            raise ValueError("stream_options is only allowed when stream is enabled")
        roles = [message.get("role") for message in payload["messages"]]
        payload["answered"] = "tool" in roles
        return Ask(
            model=payload["model"],
            stream=bool(payload.get("stream")),
            prompt_tokens=prompt_tokens(payload),
            payload=payload,
        )

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Build the answer, streamed or whole, with faults of content and shape."""
        odd = odd_answer(scenario)
        if odd is not None:
            return odd
        count = int(ask.payload.get("n") or 1)
        choices = [choose(ask, scenario, rng) for _ in range(count)]
        reply = Reply(ask, scenario, choices)
        streamed = ask.stream != bool(
            scenario.first("json-for-stream" if ask.stream else "sse-for-json")
        )
        return reply.streamed() if streamed else reply.whole()

    def error(self, status: int, detail: str, message: str) -> Answer:
        """Build an error; `param-NAME`, `quota` and `text` come from the detail."""
        kind, code = _ERRORS.get(status, ("server_error", None))
        if detail == "text":
            body = f"upstream says {status}".encode()
            return document(body, status=status, content_type="text/plain")
        found = re.match(r"param-(.+)$", detail)
        if detail == "quota":
            kind = code = "insufficient_quota"
        if detail == "context":
            code = "context_length_exceeded"
        error = {
            "message": message or f"The fault upstream answers {status}.",
            "type": kind,
            "param": found[1] if found else None,
            "code": code,
        }
        return document(json.dumps({"error": error}).encode(), status=status)

    def stream_error(self) -> Segment:
        """Build the event a vendor sends when it fails in the middle of a stream."""
        error = {
            "message": "The upstream is overloaded.",
            "type": "server_error",
            "param": None,
            "code": "overloaded",
        }
        return Segment(event_of({"error": error}))


def odd_answer(scenario: Scenario) -> Answer | None:
    """Return an answer that is none, whatever was asked."""
    if scenario.has("html-200"):
        return document(_HTML, content_type="text/html")
    if scenario.has("error-200-json"):
        refused = ChatCompletions().error(529, "", "Overloaded, inside a 200.")
        return refused.with_status(200)
    return None
