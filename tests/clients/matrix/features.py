"""What every official SDK must get through the pool from every upstream dialect.

Each function asks a speaker for one feature of one model and compares what the SDK made
of the answer with what the upstream truly said, by the upstream's own count of tokens:
a lost or doubled word shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients.matrix.told import WEATHER, Question, Speaker, Told
from tests.rig.thread import UpstreamThread
from tests.upstream.dialects.openai_reply import call_tokens
from tests.upstream.tokens import count_tokens
from tests.upstream.truth import Served


@dataclass(frozen=True)
class Where:
    """Where a speaker's questions go.

    Shapes: upstream is the provider's slug, blank for the vendor itself, without the
            pool; a fault has a provider of its own, since a failing credential cools.
    """

    upstream: str
    speaker: str
    truth: UpstreamThread

    def model(self, what: str) -> str:
        """Return the name of the model that answers in one of the ways of MODELS."""
        if not self.upstream:
            return MODELS[what]
        if what in FAULTS:
            return f"{self.upstream}-{what}-{self.speaker}/{MODELS[what]}"
        return f"{self.upstream}/{MODELS[what]}"


Feature = Callable[[Speaker, Where], None]

MODELS = {
    "plain": "fault-len-30+cached-5",
    "calling": "fault-tools+cached-3",
    "parallel": "fault-tools-parallel",
    "thinking": "fault-reasoning-12+len-20",
    "thinking-calling": "fault-reasoning-9+tools",
    "busy": "fault-503",
    "cut": "fault-len-60+cut-rst-chunk-20",
    "failing": "fault-len-60+error-mid-20",
    "open": "fault-len-30+no-finish+no-done",
    "schema": "gpt-test",
}
FAULTS = ("busy", "cut", "failing", "open")
_FINISHED = ("stop", "completed", "end_turn", "STOP")
_CALLED = ("tool_calls", "completed", "tool_use", "STOP", "stop")


def text(speaker: Speaker, where: Where) -> None:
    told = speaker.ask(Question(where.model("plain")))
    _is_whole(told, _last(where.truth))
    assert told.finish in _FINISHED


def stream(speaker: Speaker, where: Where) -> None:
    told = speaker.stream(Question(where.model("plain")))
    _is_whole(told, _last(where.truth))
    assert told.finish in _FINISHED


def tools(speaker: Speaker, where: Where) -> None:
    for how in (speaker.ask, speaker.stream):
        told = how(Question(where.model("calling"), tools=True))
        assert [call.name for call in told.calls] == ["get_weather"]
        assert set(told.calls[0].arguments) == {"city", "days"}
        assert told.finish in _CALLED
        _is_whole(told, _last(where.truth))


def forced_tool(speaker: Speaker, where: Where) -> None:
    model = where.model("schema")
    told = speaker.ask(Question(model, tools=True, forced="get_time"))
    assert [call.name for call in told.calls] == ["get_time"]


def parallel_tools(speaker: Speaker, where: Where) -> None:
    for how in (speaker.ask, speaker.stream):
        told = how(Question(where.model("parallel"), tools=True))
        assert [call.name for call in told.calls] == ["get_weather", "get_time"]
        ids = [call.id for call in told.calls if call.id]
        assert len(ids) == len(set(ids))
        _is_whole(told, _last(where.truth))


def tool_results(speaker: Speaker, where: Where) -> None:
    asked = speaker.ask(Question(where.model("parallel"), tools=True))
    question = Question(
        where.model("plain"),
        tools=True,
        before=asked,
        results=("Sunny, 31 degrees.", "Half past nine."),
    )
    told = speaker.ask(question)
    _is_whole(told, _last(where.truth))
    sent = where.truth.last.body.decode()
    assert sent.index("Sunny") < sent.index("Half past")


def image(speaker: Speaker, where: Where) -> None:
    model = where.model("plain")
    speaker.ask(Question(model))
    without = _last(where.truth).prompt_tokens
    told = speaker.ask(Question(model, image=True))
    _is_whole(told, _last(where.truth))
    assert _last(where.truth).prompt_tokens > without + 700


def structured(speaker: Speaker, where: Where) -> None:
    for how in (speaker.ask, speaker.stream):
        told = how(Question(where.model("schema"), schema=WEATHER))
        answer = json.loads(told.text)
        assert set(answer) == {"city", "days"}
        assert isinstance(answer["days"], int)
        assert not told.calls


def thinking(speaker: Speaker, where: Where) -> None:
    for how in (speaker.ask, speaker.stream):
        told = how(Question(where.model("thinking"), think=True))
        served = _last(where.truth)
        assert count_tokens(told.thought) == served.reasoning_tokens
        _is_whole(told, served)


def thinking_goes_on(speaker: Speaker, where: Where) -> None:
    """Reasoning and its proof go back with the results of the calls they led to."""
    model = where.model("thinking-calling")
    asked = speaker.ask(Question(model, tools=True, think=True))
    assert asked.calls
    question = Question(
        where.model("plain"),
        tools=True,
        think=True,
        before=asked,
        results=("Sunny.",),
    )
    _is_whole(speaker.ask(question), _last(where.truth))


def usage(speaker: Speaker, where: Where) -> None:
    counted: list[Any] = []
    for how in (speaker.ask, speaker.stream):
        told = how(Question(where.model("thinking")))
        served = _last(where.truth)
        assert told.prompt == served.prompt_tokens
        assert told.completion == served.completion_tokens
        # Anthropic's vendor counts reasoning within its output.
        if told.reasoned is not None and where.upstream != "up-anthropic":
            assert told.reasoned == served.reasoning_tokens
        counted.append((told.prompt, told.cached, told.completion, told.reasoned))
    assert counted[0] == counted[1]


def error(speaker: Speaker, where: Where) -> None:
    model = where.model("busy")
    calls = len(where.truth.truth())
    for how in (speaker.ask, speaker.stream):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - SDKs differ
            how(Question(model))
        assert speaker.status_of(caught.value) in (502, 503, 529)
    assert len(where.truth.truth()) >= calls + 2


def cut_stream(speaker: Speaker, where: Where) -> None:
    for fault in ("cut", "failing", "open"):
        calls = len(where.truth.truth())
        with pytest.raises(Exception):  # noqa: B017, PT011 - SDKs differ
            speaker.stream(Question(where.model(fault)))
        assert len(where.truth.truth()) > calls


FEATURES: dict[str, Feature] = {
    "text": text,
    "stream": stream,
    "tools": tools,
    "forced tool": forced_tool,
    "parallel tools": parallel_tools,
    "tool results": tool_results,
    "image": image,
    "structured output": structured,
    "thinking": thinking,
    "thinking goes on": thinking_goes_on,
    "usage": usage,
    "error": error,
    "cut stream": cut_stream,
}


def _last(truth: UpstreamThread) -> Served:
    truth.wait_idle(within_s=5)
    return truth.truth()[-1]


def _is_whole(told: Told, served: Served) -> None:
    """Every token the upstream wrote reached the client, once, and was counted."""
    seen = count_tokens(told.text)
    seen += sum(
        call_tokens(call.name, json.dumps(call.arguments, ensure_ascii=False))
        for call in told.calls
    )
    assert seen == served.completion_tokens - served.reasoning_tokens
    assert told.prompt == served.prompt_tokens
    assert told.completion == served.completion_tokens
    if told.cached is not None:
        assert told.cached == served.cached_tokens
