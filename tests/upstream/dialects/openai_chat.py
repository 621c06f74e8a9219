"""OpenAI chat completions as a vendor would answer them."""

from __future__ import annotations

import json
import random
import re
from typing import Any

from tests.upstream.answer import Answer, Ask, Segment, document
from tests.upstream.dialects.openai_reply import Choice, Reply, call_tokens, event_of
from tests.upstream.scenario import Scenario
from tests.upstream.text import make_words
from tests.upstream.tokens import count_image, count_tokens

_DEFAULT_TOKENS = 40
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
        return Ask(
            model=payload["model"],
            stream=bool(payload.get("stream")),
            prompt_tokens=_prompt_tokens(payload),
            payload=payload,
        )

    def answer(self, ask: Ask, scenario: Scenario, rng: random.Random) -> Answer:
        """Build the answer, streamed or whole, with faults of content and shape."""
        odd = odd_answer(scenario)
        if odd is not None:
            return odd
        count = int(ask.payload.get("n") or 1)
        choices = [_choose(ask, scenario, rng) for _ in range(count)]
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


def _choose(ask: Ask, scenario: Scenario, rng: random.Random) -> Choice:
    reasoning = (
        make_words(rng, scenario.spread("reasoning", 12, rng))
        if scenario.has("reasoning")
        else []
    )
    if scenario.has("refusal"):
        return Choice([], reasoning, [], "I cannot help with that request.", "stop")
    if _calls_tools(ask, scenario):
        count = 2 if scenario.has("tools-parallel") else 1
        calls = [_tool_call(ask, rng, number) for number in range(count)]
        return Choice([], reasoning, calls, "", "tool_calls")
    wanted = scenario.spread("len", _DEFAULT_TOKENS, rng)
    payload = ask.payload
    most = payload.get("max_completion_tokens") or payload.get("max_tokens") or wanted
    finish = "length" if most < wanted else "stop"
    words = make_words(rng, min(wanted, most))
    return Choice(words, reasoning, [], "", finish)


def _calls_tools(ask: Ask, scenario: Scenario) -> bool:
    if scenario.first("tools", "tools-parallel", "tools-fragmented"):
        return True
    choice = ask.payload.get("tool_choice")
    return bool(ask.payload.get("tools")) and choice not in (None, "auto", "none")


def _tool_call(ask: Ask, rng: random.Random, number: int) -> tuple[str, str, str]:
    tools = ask.payload.get("tools") or [{"function": {"name": "get_weather"}}]
    function = tools[number % len(tools)].get("function", {})
    city = rng.choice(["Lisbon", "Kraków", "Nairobi", "Osaka", "Montréal"])
    arguments = {"city": city, "unit": "celsius", "days": rng.randint(1, 7)}
    return (
        f"call_{rng.getrandbits(48):012x}",
        function.get("name", "get_weather"),
        json.dumps(arguments, ensure_ascii=False),
    )


def _prompt_tokens(payload: dict[str, Any]) -> int:
    total = 3
    for message in payload["messages"]:
        total += 4 + _content_tokens(message.get("content"))
        for call in message.get("tool_calls") or []:
            function = call.get("function", {})
            total += call_tokens(
                function.get("name", ""), function.get("arguments", "")
            )
    if payload.get("tools"):
        total += count_tokens(json.dumps(payload["tools"]))
    return total


def _content_tokens(content: Any) -> int:
    if isinstance(content, str):
        return count_tokens(content)
    total = 0
    for part in content or []:
        if part.get("type") == "image_url":
            total += count_image(part["image_url"].get("detail", "auto"))
        else:
            total += count_tokens(str(part.get("text", "")))
    return total
