"""What a probe's answer says about a model: the rules of the reference, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from poolsite.destinations import Category
from providers.models import Provider, ProviderModel
from providers.services.own_call import ProbeAnswer
from providers.services.probing import rules

WORDS = (
    "未配置模型",
    "not configured",
    "model not found",
    "does not exist",
    "not available",
    "invalid model",
    "unknown model",
    "unsupported model",
    "no such model",
)


def said(status: int, words: str = "", code: str = "", attempts: int = 1) -> str:
    return rules.judge(ProbeAnswer(status, words, code, attempts)).state


def test_the_words_are_those_of_the_reference() -> None:
    assert rules.MISSING_WORDS == WORDS


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("words", WORDS)
def test_400_or_404_with_a_word_of_10_4_is_missing(words: str, status: int) -> None:
    assert said(status, f"Error: the {words.upper()}, sorry.") == "missing"


@pytest.mark.parametrize("status", [401, 402, 403, 408, 422, 429, 500, 502, 503, 529])
@pytest.mark.parametrize("words", WORDS)
def test_another_status_is_no_evidence_whatever_it_says(
    words: str, status: int
) -> None:
    assert said(status, words) == "unproven"


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("words", ["", "max_tokens is too small", "Not Found"])
def test_400_or_404_without_a_word_is_no_evidence(words: str, status: int) -> None:
    assert said(status, words) == "unproven"


def test_a_code_spells_the_words_with_underscores() -> None:
    assert said(404, "gone", "model_not_found") == "missing"


@pytest.mark.parametrize("status", [200, 201])
def test_2xx_is_ok(status: int) -> None:
    assert said(status) == "ok"


def test_what_the_pool_itself_refuses_says_nothing_of_the_model() -> None:
    assert said(404, "The model 'x' does not exist here.", attempts=0) == "unproven"


def test_time_out_is_no_evidence_and_said() -> None:
    verdict = rules.judge(ProbeAnswer(None, category=Category.TIMEOUT))
    assert verdict == ("unproven", "no answer in time")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ProbeAnswer(None, category="refused"), True),
        (ProbeAnswer(None, category="reset"), True),
        (ProbeAnswer(None, category="timeout"), False),
        (ProbeAnswer(503, code="draining"), True),
        (ProbeAnswer(503, code="overloaded"), True),
        (ProbeAnswer(503, code="model_not_served"), False),
        (ProbeAnswer(503, "overloaded", "server_error", 1), False),
        (ProbeAnswer(200), False),
    ],
)
def test_a_proxy_that_is_away_is_told_from_a_model(
    answer: ProbeAnswer, expected: bool
) -> None:
    assert answer.is_pools_own is expected


def test_words_of_others_fit_one_line() -> None:
    note = rules.judge(ProbeAnswer(500, "a\x00b\n\u202ec" + "x" * 5000, "", 1)).note
    assert note.startswith("a b c")
    assert len(note) == 200


# Who is not asked


def model(model_id: str = "gpt-5-mini", **values: Any) -> ProviderModel:
    provider = Provider(slug="acme", type=values.pop("type", "custom"))
    provider.enabled = bool(values.pop("provider_enabled", True))
    return ProviderModel(provider=provider, model_id=model_id, **values)


@pytest.mark.parametrize(
    "model_id",
    [
        "text-embedding-3-small", "bge-m3", "jina-reranker-v2", "omni-moderation",
        "whisper-1", "gpt-4o-transcribe", "tts-1", "dall-e-3", "gpt-image-1",
        "imagen-4", "mj_imagine", "swap_face", "text-davinci-003", "davinci-002",
    ],
)  # fmt: skip
def test_a_model_of_10_3_is_skipped_by_its_name(model_id: str) -> None:
    assert rules.why_skipped(model(model_id)).startswith("no chat model")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"enabled": False}, "switched off"),
        ({"provider_enabled": False}, "its provider is switched off"),
        ({"type": "media"}, "its provider serves media, not chat"),
        ({"capabilities": {"chat": False, "video_generation": True}}, "no chat model"),
        ({"capabilities": {"chat": False}, "evidence": {"chat": True}}, ""),
        ({}, ""),
        ({"model_id": "tts-of-words", "capabilities": {"chat": True}}, ""),
    ],
)
def test_who_is_skipped_and_why(values: dict[str, Any], reason: str) -> None:
    assert rules.why_skipped(model(**values)) == reason


@pytest.mark.parametrize(
    ("catalogue_id", "mode", "kept"),
    [
        ("openai", "", True),
        ("openai", "dynamic", False),
        ("groq", "", False),
        ("groq", "catalog", True),
        ("", "", False),
    ],
)
def test_catalogue_mode_keeps_missing_models(
    catalogue_id: str, mode: str, kept: bool
) -> None:
    provider = Provider(catalogue_id=catalogue_id, metadata_mode=mode)
    assert rules.keeps_missing(provider) is kept
