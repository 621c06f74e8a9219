"""What a model's name alone says, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from pricing.listing import ListedModel
from providers.discovery.facts import Fact, gather
from providers.discovery.infer import answers_chat, capabilities_of, kind_of
from providers.discovery.profile import profile_of


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4-vision", "gpt-4o-mini", "gpt-4-turbo", "claude-3-haiku", "gemini-2.5-pro",
        "gpt-5.1", "claude-opus-4-5", "qwen2.5-vl-72b", "pixtral-12b", "llava:7b",
    ],
)  # fmt: skip
def test_vision_is_inferred(name: str) -> None:
    assert "vision" in capabilities_of(name)


@pytest.mark.parametrize(
    "name",
    ["o1", "o3-mini", "o4-mini", "openai/o3", "kimi-k2-thinking", "deepseek-reasoner",
     "gpt-5", "deepseek-r1", "qwq-32b"],
)  # fmt: skip
def test_thinking_is_inferred(name: str) -> None:
    assert "reasoning" in capabilities_of(name)


@pytest.mark.parametrize(
    "name",
    ["gpt-4.1", "gpt-3.5-turbo", "claude-3-opus", "anthropic/claude-sonnet-4",
     "claude-opus-4-1", "o1", "o3", "openai/o4-mini", "google/gemini-2.0-flash",
     "mistralai/mistral-large", "mistralai/mistral-medium", "mistralai/mistral-small"],
)  # fmt: skip
def test_tools_are_inferred(name: str) -> None:
    assert "tools" in capabilities_of(name)


@pytest.mark.parametrize("name", ["gpt-4", "gpt-3.5-turbo", "claude-3-5-sonnet"])
def test_json_mode_is_inferred(name: str) -> None:
    assert "json" in capabilities_of(name)


@pytest.mark.parametrize("name", ["llama3.2", "house-model", "turbo1", "foo1-mini"])
def test_an_unknown_name_says_nothing(name: str) -> None:
    assert capabilities_of(name) == ()
    assert answers_chat(name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("text-embedding-3-small", "embedding"), ("BAAI/bge-m3", "embedding"),
        ("semantic_similarity", "embedding"), ("bge-reranker-v2", "rerank"),
        ("omni-moderation-latest", "moderation"), ("gpt-4o-transcribe", "transcription"),
        ("x-transcription", "transcription"), ("whisper-1", "transcription"),
        ("tts-1-hd", "speech"), ("dall-e-3", "image"), ("gpt-image-1", "image"),
        ("imagen-4", "image"), ("swap_face", "image"), ("mj_imagine", "image"),
        ("mj-fast", "image"), ("text-ada-001", "completion"),
        ("text-babbage-001", "completion"), ("text-curie-001", "completion"),
        ("text-davinci-003", "completion"), ("davinci-002", "completion"),
        ("babbage-002", "completion"),
    ],
)  # fmt: skip
def test_not_a_chat_model(name: str, kind: str) -> None:
    assert kind_of(name) == kind
    assert not answers_chat(name)


@pytest.mark.parametrize(
    ("api_format", "values", "expected"),
    [
        ("responses", {}, ("full_native", True, True, True, 65_536)),
        ("openai", {}, ("lite_native", False, True, True, 32_768)),
        ("anthropic", {}, ("lite_native", False, True, True, 32_768)),
        ("google", {}, ("lite_native", False, True, True, 32_768)),
        ("copilot", {}, ("lite_native", False, True, True, 32_768)),
        ("cloudcode", {}, ("lite_native", False, True, True, 32_768)),
        ("ollama", {}, ("exec_only", False, False, False, 0)),
        ("openai", {"is_local": True}, ("exec_only", False, False, False, 0)),
        ("something", {}, ("text_only", False, False, False, 8_192)),
    ],
    ids=["responses", "openai", "anthropic", "google", "copilot", "cloudcode",
         "ollama", "local", "default"],
)  # fmt: skip
def test_profile_of_a_format(
    api_format: str, values: dict[str, Any], expected: tuple[object, ...]
) -> None:
    made = profile_of(api_format, "m", **values)
    assert expected == (
        made.tool_call_mode,
        made.parallel_tools,
        made.streaming_tools,
        made.json_schema,
        made.max_tool_schema_bytes,
    )
    assert (made.vision, made.audio) == (False, False)


def test_profile_sees_by_name_and_media_hears() -> None:
    assert profile_of("openai", "gpt-4o-mini").vision
    assert profile_of("google", "m", provider_id="gemini").vision
    media = profile_of("openai", "m", is_media=True)
    assert (media.vision, media.audio) == (True, True)


def test_the_louder_voice_wins_and_is_named() -> None:
    declared = ListedModel(
        id="gpt-4o", context_window=1, capabilities=("tools",), lacks=("vision",)
    )
    known = ListedModel(
        id="gpt-4o", context_window=2, max_output=3, lacks=("tools", "audio")
    )
    facts = gather("gpt-4o", declared, known, evidence={"tools": False})
    assert facts.context_window == Fact(1, "declared")
    assert facts.max_output_tokens == Fact(3, "catalogue")
    assert facts.capabilities["tools"] == Fact(False, "probed")
    assert facts.capabilities["vision"] == Fact(False, "declared")
    assert facts.capabilities["audio"] == Fact(False, "catalogue")
    assert facts.capabilities["json"] == Fact(True, "inferred")
    assert "pdf" not in facts.capabilities
