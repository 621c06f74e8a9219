"""The resolution of a provider's format, step by step, and the order of formats."""

from __future__ import annotations

from typing import Any

import pytest

from providers.routing import format_plan
from providers.routing.format_plan import FormatFacts, resolve_format

CUSTOM = "https://api.acme.example/v1"


def facts(**values: Any) -> FormatFacts:
    return FormatFacts(**{"id": "acme", "base_url": CUSTOM, **values})


@pytest.mark.parametrize(
    ("given", "asked", "selected", "source", "mutable"),
    [
        pytest.param(None, {}, "openai", "family_default", False, id="0-no-provider"),
        pytest.param(
            facts(base_url="https://x.example/anthropic/v1", api_format="openai"),
            {}, "anthropic", "endpoint_lock", False, id="1-endpoint-lock",
        ),
        pytest.param(
            facts(mode="pinned", api_format="google", detected_format="openai"),
            {"model": "claude-x"}, "google", "user_pinned", False, id="2-pinned",
        ),
        pytest.param(
            facts(mode="pinned", detected_format="responses"),
            {}, "responses", "user_pinned", False, id="2-pinned-by-what-was-detected",
        ),
        pytest.param(
            facts(id="anthropic", type="builtin", mode="pinned"),
            {}, "anthropic", "family_default", False, id="2-pinned-canonical",
        ),
        pytest.param(
            facts(id="anthropic", type="builtin", mode="pinned", is_explicit=True),
            {}, "anthropic", "user_pinned", False, id="2-pinned-explicitly",
        ),
        pytest.param(
            facts(detected_format="openai"), {"model_memory": "responses"},
            "responses", "model_memory", True, id="3-model-memory",
        ),
        pytest.param(
            facts(detected_format="openai"), {"model": "claude-x"},
            "openai", "detected", True, id="4-detected-of-the-provider",
        ),
        pytest.param(
            facts(detected_format="openai"), {"detected": "anthropic"},
            "anthropic", "detected", True, id="4-detected-by-the-request",
        ),
        pytest.param(
            facts(), {"model": "claude-x"},
            "anthropic", "family_default", True, id="5-family-claude",
        ),
        pytest.param(
            facts(), {"model": "gpt-5-codex"},
            "responses", "family_default", True, id="5-family-codex",
        ),
        pytest.param(
            facts(), {"model": "llama"},
            "openai", "family_default", True, id="5-family-default",
        ),
    ],
)  # fmt: skip
def test_step_decides(
    given: FormatFacts | None,
    asked: dict[str, str],
    selected: str,
    source: str,
    mutable: bool,
) -> None:
    plan = resolve_format(given, **asked)
    assert (plan.selected, plan.source, plan.is_mutable) == (selected, source, mutable)
    assert plan.candidates[0] == selected
    assert plan.is_known
    if not mutable:
        assert plan.candidates == (selected,)


def test_candidates_are_distinct_and_begin_with_the_selected() -> None:
    known = facts(detected_format="google", memory="ollama", api_format="copilot")
    plan = resolve_format(known, model="claude-x", model_memory="responses")
    assert plan.candidates == (
        "responses", "anthropic", "openai", "google", "ollama", "copilot",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "mode", "url"),
    [
        ({}, "root", CUSTOM),
        ({"detected_base_url": "https://b.example/v1"}, "detected_endpoint",
         "https://b.example/v1"),
        ({"base_url": "https://b.example/anthropic"}, "fixed_endpoint",
         "https://b.example/anthropic"),
    ],
)  # fmt: skip
def test_base_url_mode(values: dict[str, str], mode: str, url: str) -> None:
    plan = resolve_format(facts(**values))
    assert (plan.base_url_mode, plan.base_url) == (mode, url)


@pytest.mark.parametrize(
    ("values", "mode"),
    [
        ({"base_url": "https://x.example/anthropic"}, "pinned"),
        ({"type": "custom"}, "auto"),
        ({"type": "builtin", "api_format": "responses"}, "pinned"),
        ({"type": "builtin", "api_format": "ollama"}, "pinned"),
        ({"type": "builtin", "api_format": "cloudcode"}, "pinned"),
        ({"type": "builtin", "api_format": "copilot"}, "pinned"),
        ({"type": ""}, "auto"),
        ({"type": "builtin", "api_format": "openai"}, "pinned"),
    ],
)
def test_mode_nobody_chose(values: dict[str, str], mode: str) -> None:
    assert format_plan.default_mode(facts(**values)) == mode


@pytest.mark.parametrize(
    ("values", "canonical"),
    [
        ({"sign_in": "antigravity"}, "cloudcode"),
        ({"sign_in": "gemini-cli"}, "cloudcode"),
        ({"sign_in": "copilot"}, "copilot"),
        ({"sign_in": "codex"}, "responses"),
        ({"id": "anthropic"}, "anthropic"),
        ({"id": "minimax"}, "anthropic"),
        ({"id": "google"}, "google"),
        ({"id": "ollama"}, "ollama"),
        ({"id": "anything"}, "openai"),
    ],
)
def test_canonical_format(values: dict[str, str], canonical: str) -> None:
    assert format_plan.canonical_format(facts(**values)) == canonical


@pytest.mark.parametrize(
    ("url", "custom", "locked"),
    [
        ("https://x/backend-api/codex/responses", False, "responses"),
        ("https://x/backend-api/codex/responses/", True, "responses"),
        ("https://x/API/Responses", False, "responses"),
        ("https://x/v1/messages", False, "anthropic"),
        ("https://x/anthropic", True, "anthropic"),
        ("https://x/api/Anthropic/v1", True, "anthropic"),
        ("https://x/not-anthropic/v1", True, ""),
        ("https://x/responses", True, ""),
        ("https://x/v1/responses", True, ""),
        ("https://x/messages", True, ""),
        ("https://x/v1/messages/", True, ""),
        ("https://x/deep/path/messages", True, "anthropic"),
        ("https://x/v1", False, ""),
        ("", True, ""),
    ],
)
def test_endpoint_lock(url: str, custom: bool, locked: str) -> None:
    assert format_plan.locked_format(url, is_custom=custom) == locked


@pytest.mark.parametrize(
    ("model", "order"),
    [
        ("claude-sonnet-4-5", ("anthropic", "openai", "responses")),
        ("my-OPUS", ("anthropic", "openai", "responses")),
        ("gpt-5-codex", ("responses", "openai", "anthropic")),
        ("claude-codex", ("responses", "openai", "anthropic")),
        ("llama-4", ("openai", "anthropic", "responses")),
        ("", ("openai", "anthropic", "responses")),
    ],
)
def test_family_order(model: str, order: tuple[str, ...]) -> None:
    assert format_plan.preferred_formats(model) == order


@pytest.mark.parametrize(
    ("model", "values", "score"),
    [
        ("claude-x", {"detected_format": "anthropic"}, 325),
        ("claude-x", {"detected_format": "openai"}, 225),
        ("claude-x", {}, 300),
        ("claude-x", {"mode": "pinned", "api_format": "responses"}, 125),
        ("claude-x", {"mode": "pinned", "api_format": "google"}, 0),
        ("llama", {"detected_format": "openai"}, 0),
    ],
)
def test_affinity(model: str, values: dict[str, str], score: int) -> None:
    plan = resolve_format(facts(**values), model=model)
    assert format_plan.affinity(model, plan) == score


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("gpt-5", "gpt-5-mini"),
        ("gpt-5-mini", "gpt-5-nano"),
        ("claude-opus-4-5", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5", "claude-haiku-4-5"),
        ("gemini-2.5-pro", "gemini-2.5-flash"),
        ("gemini-2.5-flash", "gemini-2.5-flash-lite"),
        ("deepseek-reasoner", "deepseek-chat"),
        ("qwen3-max", "qwen3-plus"),
        ("glm-4.6", "glm-4.5"),
        ("kimi-k2-thinking", "kimi-k2-turbo"),
    ],
)
def test_better_model_scores_higher(better: str, worse: str) -> None:
    assert format_plan.best_first([worse, better]) == [better, worse]
