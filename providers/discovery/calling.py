"""Word the small calls a test makes, in whatever format the provider speaks.

They are translated as the proxy would translate them, so a call that works here works
there: the same codec chooses the fields, the same decoder reads the answer.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from providers.discovery.asking import Asker, Candidate, Heard
from providers.formats import registry
from providers.formats.base import (
    ChatRequest,
    FormatError,
    FramingError,
    Target,
    UpstreamRequest,
)
from providers.formats.neutral.bridge import TranslationBridge

WORD: Final = "ping"
_CLIENT: Final = "openai"
_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "noop",
        "description": "Does nothing.",
        "parameters": {"type": "object", "properties": {}},
    },
}
_MISSING: Final = (
    "model_not_found", "unknown model", "no such model", "model not found",
    "model does not exist", "does not exist", "invalid model", "unsupported model",
    "unavailable model", "model is not available", "not a valid model",
    "模型不存在", "不存在的模型", "未找到模型", "找不到模型", "模型未找到", "无效的模型",
    "无效模型", "不支持的模型", "不支持该模型", "模型不可用", "未知模型",
)  # fmt: skip
_MISSING_STATUSES: Final = frozenset({400, 404, 422})
_SPACES: Final = re.compile(r"\s+")


class Call(msgspec.Struct, frozen=True):
    """One small call, and what reads its answer."""

    asked: ChatRequest
    sent: UpstreamRequest
    bridge: TranslationBridge

    def read(self, heard: Heard) -> str:
        """Return what is wrong with a 2xx answer, blank when it is one."""
        if heard.answer is None:
            return heard.words
        if heard.is_html:
            return "The answer is a web page."
        meta = self.bridge.read_response(self.asked, self.sent, heard.answer.body)
        if meta.error is None:
            return ""
        return meta.error.message or "The answer is not one of this wire format."

    def read_stream(self, heard: Heard) -> str:
        """Return what is wrong with a streamed 2xx answer, blank when it is whole."""
        if heard.answer is None:
            return heard.words
        if heard.is_html:
            return "The answer is a web page."
        wire = registry.get(_CLIENT)
        stream = wire.open_stream(self.asked, request_id="test")
        tap = self.bridge.open_tap(self.asked, self.sent, stream)
        try:
            tap.feed(heard.answer.body)
            tap.eof()
        except FramingError:
            return "The stream cannot be read."
        if tap.error is not None:
            return tap.error.message or "The stream carried an error."
        return "" if tap.complete else "The answer did not come as a stream."


def make_call(
    candidate: Candidate,
    model: str,
    *,
    api_format: str = "",
    max_tokens: int = 1,
    stream: bool = False,
    with_tool: bool = False,
) -> Call:
    """Word a call of one short message for a model.

    Errors:  FormatError when this format cannot say it, for one without an endpoint.
    """
    name = api_format or candidate.api_format
    wire, client = registry.get(name), registry.get(_CLIENT)
    source, target = client.codec(""), wire.codec(model)
    if source is None or target is None:
        raise FormatError("This wire format cannot be tried with a call.")
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": WORD}],
        "max_tokens": max_tokens,
    }
    if stream:
        body["stream"] = True
    if with_tool:
        body["tools"] = [_TOOL]
    asked = client.read_request(msgspec.json.encode(body))
    aim = Target(
        model=model,
        provider=candidate.slug,
        catalogue=candidate.catalogue,
        options=candidate.options,
    )
    bridge = TranslationBridge(source, target, name)
    return Call(asked, bridge.build_request(asked, aim), bridge)


def send_call(asker: Asker, call: Call, *, base_url: str = "") -> Heard:
    """Send a call to the candidate.

    Fails:   never raises for what the provider does.
    """
    base = base_url or asker.candidate.base_url
    return asker.ask(
        base + call.sent.path,
        method=call.sent.method,
        body=call.sent.body,
        headers=call.sent.headers,
    )


def says_model_missing(status: int | None, text: str) -> bool:
    """Tell whether an error means that there is no such model, in two languages."""
    if status not in _MISSING_STATUSES:
        return False
    lowered = _SPACES.sub(" ", text.lower())
    if any(words in lowered for words in _MISSING):
        return True
    plain = re.sub(r"[`'\"“”]", "", lowered)
    return bool(re.search(r"\bmodel\b.{0,80}\b(not found|not exist|unknown)", plain))
