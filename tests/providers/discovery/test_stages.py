"""The staged test: what is paid for is asked for, each step says its cause and cure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from poolsite.secret_type import Secret
from providers.discovery.asking import Asker, Candidate
from providers.discovery.check import CheckResult
from providers.discovery.stages import chat_models, run_stages
from tests.vendors import verify as shapes
from tests.vendors.server import Asked, Reply, Vendor
from tests.vendors.verify import CHAT, KEY

NAMES = ["connectivity", "authentication", "provider", "call", "streaming", "tools"]


def run(vendor: Vendor, path: str = "/v1", **values: Any) -> CheckResult:
    with_call = values.pop("with_call", True)
    model = values.pop("model", "")
    secret = values.pop("secret", KEY)
    limits = {k: values.pop(k) for k in ("stage_s", "total_s") if k in values}
    known = {"allow_private": True, "api_format": "openai", **values}
    candidate = Candidate(vendor.root + path, **known)
    asker = Asker(candidate, Secret(secret), **limits)
    result = run_stages(asker, with_call=with_call, model=model)
    assert KEY not in repr(result)
    return result


def outcomes(result: CheckResult) -> dict[str, str]:
    return {stage.name: stage.outcome for stage in result.stages}


def test_nothing_is_paid_for_unasked() -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        result = run(vendor, with_call=False)
        assert vendor.paths() == ["GET /v1/models"]
    assert result.ok
    assert list(outcomes(result)) == NAMES
    assert outcomes(result)["call"] == "skipped"
    assert "1 token" in result.stages[3].text


def test_every_step_passes() -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        result = run(vendor)
        calls = [each.json() for each in vendor.asked[1:]]
    assert set(outcomes(result).values()) == {"ok"}
    assert [call["model"] for call in calls] == ["small-mini"] * 3
    assert "small-mini answers" in result.stages[3].text
    assert all(stage.status == 200 for stage in result.stages)


def test_every_step_passes_in_anthropics_format() -> None:
    with Vendor() as vendor:
        shapes.anthropic_shaped(vendor)
        result = run(vendor, api_format="anthropic")
        call = vendor.asked[1]
    assert set(outcomes(result).values()) == {"ok"}
    assert call.path == "/v1/messages"
    assert call.headers["x-api-key"] == KEY
    assert call.json()["max_tokens"] == 1


def test_refused_key_skips_what_follows() -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        result = run(vendor, secret="sk-other-0123456789")
        assert len(vendor.asked) == 1
    assert outcomes(result) == {
        "connectivity": "ok", "authentication": "failed",
        "call": "skipped", "streaming": "skipped", "tools": "skipped",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "words", "cure"),
    [
        (shapes.openai_error(402, "Insufficient Balance"), "Insufficient", "no credit"),
        (shapes.openai_error(429, "Slow down"), "429", "Wait"),
        (shapes.openai_error(403, "Not in your region"), "region", "Check that"),
        (Reply(b"<html>", headers={"content-type": "text/html"}), "web page", "format"),
        (Reply({"odd": True}), "", "wire format"),
    ],
    ids=["no-credit", "rate-limit", "forbidden", "web-page", "another-format"],
)
def test_failed_call_names_cause_and_cure(reply: Reply, words: str, cure: str) -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        vendor.on("POST", CHAT, reply)
        result = run(vendor)
    stage = result.failure
    assert stage is not None
    assert stage.name == "call"
    assert words in stage.text
    assert cure in stage.cure
    assert outcomes(result)["tools"] == "skipped"


def test_missing_model_leads_to_another() -> None:
    def answer(asked: Asked) -> Reply:
        if asked.json()["model"] == "a-nano":
            return shapes.openai_error(404, "gone", "model_not_found")
        return shapes.chat_answer(asked)

    with Vendor() as vendor:
        shapes.openai_shaped(vendor, "a-nano", "b-pro")
        vendor.on("POST", CHAT, answer)
        result = run(vendor)
    assert result.ok
    assert "b-pro answers" in result.stages[3].text


def test_stream_that_is_none_fails() -> None:
    def answer(asked: Asked) -> Reply:
        if asked.json().get("stream"):
            cut = shapes.chat_stream("m").partition(b"\n\n")[0] + b"\n\n"
            return Reply(cut, headers={"content-type": "text/event-stream"})
        return shapes.chat_answer(asked)

    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        vendor.on("POST", CHAT, answer)
        result = run(vendor)
    assert outcomes(result)["streaming"] == "failed"
    assert outcomes(result)["tools"] == "ok"


def test_model_without_tools_is_no_broken_provider() -> None:
    def answer(asked: Asked) -> Reply:
        if "tools" in asked.json():
            return shapes.openai_error(400, "tools are not supported")
        return shapes.chat_answer(asked)

    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        vendor.on("POST", CHAT, answer)
        result = run(vendor)
    assert result.ok
    assert outcomes(result)["tools"] == "skipped"


def test_server_without_a_list_may_answer_calls() -> None:
    with Vendor() as vendor:
        vendor.on("POST", CHAT, shapes.guarded(shapes.chat_answer))
        assert not run(vendor).ok
        result = run(vendor, model="m")
    assert result.ok
    assert outcomes(result)["provider"] == "skipped"


def test_chosen_model_is_called() -> None:
    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        run(vendor, model="big-pro")
        assert vendor.last.json()["model"] == "big-pro"


def test_time_is_bounded_over_all_steps() -> None:
    def slow(answer: Callable[[Asked], Reply]) -> Callable[[Asked], Reply]:
        return lambda asked: Reply(answer(asked).body, delay_s=0.15)

    with Vendor() as vendor:
        shapes.openai_shaped(vendor)
        vendor.on("POST", CHAT, slow(shapes.chat_answer))
        result = run(vendor, stage_s=5, total_s=0.05)
    assert not result.ok
    assert "time" in result.error


def test_smallest_chat_model_is_called() -> None:
    models = ["gpt-5", "gpt-5-nano", "text-embedding-3", "whisper-1", "gpt-5-mini"]
    assert chat_models(models) == ["gpt-5-nano", "gpt-5-mini", "gpt-5"]


@pytest.mark.parametrize(
    "api_format",
    ["openai", "responses", "anthropic", "google", "ollama", "azure", "bedrock",
     "vertex", "copilot", "cloudcode", "codex"],
)  # fmt: skip
def test_call_can_be_worded_in_every_format(api_format: str) -> None:
    from providers.discovery.calling import make_call

    options = {"project": "p", "location": "global", "region": "eu-west-1"}
    candidate = Candidate("https://x.example", api_format, options=options)
    for values in ({}, {"stream": True}, {"with_tool": True}):
        call = make_call(candidate, "claude-x", **values)
        assert call.sent.body
        assert call.sent.path.startswith("/")
