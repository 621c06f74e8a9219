"""The usage an answer reports, the same truth for every dialect."""

from __future__ import annotations

import json
from typing import Any

from tests.upstream.answer import Answer, Ask, Segment
from tests.upstream.dialects.openai_reply import Choice, spoiler
from tests.upstream.scenario import Scenario


class Report:
    """Count what some choices cost.

    Shapes: usage is in chat's form, what the truth log keeps; None when the scenario
            reports nothing. A dialect words `prompt`, `cached`, `completion`, `thought`.
    """

    def __init__(self, ask: Ask, scenario: Scenario, choices: list[Choice]) -> None:
        self.prompt = ask.prompt_tokens
        self.cached = min(self.prompt, scenario.number("cached"))
        self.completion = sum(choice.tokens for choice in choices)
        self.thought = sum(choice.reasoning_tokens for choice in choices)
        self.spoil = spoiler(scenario)
        self.usage: dict[str, Any] | None = None
        if not scenario.has("no-usage"):
            self.usage = {
                "prompt_tokens": self.prompt,
                "completion_tokens": self.completion,
                "prompt_tokens_details": {"cached_tokens": self.cached},
                "completion_tokens_details": {"reasoning_tokens": self.thought},
            }


def whole_answer(body: dict[str, Any], report: Report, *, garbled: bool) -> Answer:
    """Return one JSON document; it was generated before its first byte leaves."""
    data = json.dumps(body, ensure_ascii=False).encode()
    if garbled:
        data = data[: len(data) // 2] + b"\x00\xff\xfe}{"
    generated = Segment(b"", report.completion, report.thought, event=False)
    return Answer(
        headers=[("content-type", "application/json")],
        segments=[generated, Segment(data, usage=report.usage is not None)],
        usage=report.usage,
    )


def pieces(parts: list[str], scenario: Scenario) -> list[str]:
    """Join parts to as many pieces as the scenario wants."""
    chunks = scenario.number("chunks", 0)
    size = max(1, -(-len(parts) // chunks)) if chunks else 1
    starts = range(0, len(parts), size)
    return ["".join(parts[start : start + size]) for start in starts]
