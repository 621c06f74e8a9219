from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from providers.formats.capabilities import Capabilities, capabilities
from providers.formats.neutral.types import EFFORTS

FORMATS = (
    "openai",
    "responses",
    "anthropic",
    "google",
    "ollama",
    "bedrock",
    "copilot",
    "codex",
    "azure",
    "cloudcode",
    "vertex",
)
FIELDS = {field.name: field for field in msgspec.structs.fields(Capabilities)}
ABOUT = {"models", "providers", "source", "date", "note"}


def _file(name):
    root = resources.files("providers.formats").joinpath("capability_data")
    return msgspec.json.decode(root.joinpath(f"{name}.json").read_bytes())


def _rules():
    return [
        pytest.param(rule, id=f"{name}-{place}")
        for name in FORMATS
        for place, rule in enumerate(_file(name)["rules"])
    ]


@pytest.mark.parametrize("rule", _rules())
def test_every_rule_has_a_source_a_date_and_known_fields(rule):
    assert rule["source"]
    assert rule["date"] == "2026-11-20"
    values = {name: value for name, value in rule.items() if name not in ABOUT}
    assert values
    assert set(values) <= set(FIELDS)
    caps = msgspec.convert(values, Capabilities)
    assert caps.thinking in ("none", "effort", "budget", "adaptive", "level")
    assert caps.json_output in ("native", "tool", "instruction")
    assert caps.reasoning_history in ("none", "text", "proof")
    assert set(caps.effort_levels) <= {*EFFORTS, "default"}
    assert set(caps.budgets) <= set(EFFORTS)
    assert all(glob == glob.lower() for glob in rule.get("models", ()))


@pytest.mark.parametrize("name", FORMATS)
def test_every_file_gives_capabilities_for_any_model(name):
    for model in ("", "gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro", "x/y:z"):
        caps = capabilities(name, "", model)
        assert caps.min_budget <= caps.max_budget
    assert capabilities(name, "", "GPT-4o") is capabilities(name, "", "GPT-4o")


def test_a_format_without_data_gets_the_defaults():
    assert capabilities("nobody", "p", "m") == Capabilities()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (("openai", "openai", "gpt-4o"), {"max_tokens_field": "max_completion_tokens"}),
        (("openai", "openai", "gpt-4o"), {"custom_tools": False}),
        (("openai", "openai", "gpt-5.2"), {"custom_tools": True}),
        (("copilot", "", "gpt-5.2"), {"speaks": ("responses",), "choices": False}),
        (("copilot", "", "gpt-5-mini"), {"speaks": ("openai",)}),
        (("azure", "", "gpt-5-codex"), {"speaks": ("responses",)}),
        (("openai", "groq", "llama-3.3"), {"max_tokens_field": "max_tokens"}),
        (("openai", "openai", "O3-Mini"), {"thinking": "effort", "stop": False}),
        (("openai", "openai", "gpt-5-chat-latest"), {"thinking": "none"}),
        (
            ("openai", "deepseek", "deepseek-reasoner"),
            {"replays_reasoning_content": True},
        ),
        (("openai", "mistral", "mistral-large"), {"tool_id_length": 9}),
        (("openai", "groq", "llama-3.3"), {"names": False, "choices": False}),
        (("anthropic", "", "claude-3-5-sonnet-20241022"), {"thinking": "none"}),
        (("anthropic", "", "claude-3-7-sonnet-latest"), {"thinking": "budget"}),
        (("anthropic", "", "claude-opus-4-20250514"), {"max_output": 32000}),
        (("anthropic", "", "claude-opus-4-1-20250805"), {"prefill": True}),
        (
            ("anthropic", "", "claude-sonnet-4-5-20250929"),
            {"temperature_with_top_p": False, "thinking": "budget", "prefill": True},
        ),
        (
            ("anthropic", "", "claude-sonnet-4-6"),
            {"prefill": False, "temperature": True, "thinking": "adaptive"},
        ),
        (
            ("anthropic", "", "claude-opus-4-7"),
            {"temperature": False, "top_k": False, "system_in_middle": False},
        ),
        (("anthropic", "", "claude-opus-5[1m]"), {"system_in_middle": True}),
        (("google", "", "gemini-2.0-flash"), {"thinking": "none"}),
        (("google", "", "gemini-2.5-pro"), {"thinking_off": False, "min_budget": 128}),
        (("google", "", "gemini-2.5-flash-lite"), {"min_budget": 512, "choices": True}),
        (("google", "", "gemini-3-pro"), {"thinking": "level", "choices": False}),
        (("bedrock", "", "eu.anthropic.claude-opus-4-7-v1:0"), {"temperature": False}),
        (("bedrock", "", "amazon.nova-lite-v1:0"), {"thinking": "none"}),
        (("codex", "", "gpt-5.3-codex"), {"speaks": ("responses",), "store": False}),
        (("azure", "", "my-deployment"), {"speaks": ("openai",)}),
        (("azure", "", "o3"), {"temperature": False}),
        (("copilot", "", "claude-sonnet-4.5"), {"prefill": False}),
        (("cloudcode", "", "gemini-2.5-pro"), {"full_json_schema": False}),
        (("vertex", "", "gemini-2.5-pro"), {"speaks": ("google",), "metadata": True}),
        (("vertex", "", "claude-haiku-4-5@20251001"), {"speaks": ("anthropic",)}),
        (("vertex", "", "meta/llama-4-maverick"), {"speaks": ("openai",)}),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, tuple) else "",
)
def test_what_is_known_of_a_model(at, expected):
    caps = capabilities(*at)
    assert {name: getattr(caps, name) for name in expected} == expected


def test_every_capability_is_decided_somewhere_or_has_a_plain_default():
    used = {name for file in FORMATS for rule in _file(file)["rules"] for name in rule}
    assert set(FIELDS) - used <= {"null_content", "tool_choice_none", "stream_options"}


def test_the_data_is_shipped_with_the_package():
    root = Path(__file__).parents[3]
    shipped = tomllib.loads((root / "pyproject.toml").read_text())
    globs = shipped["tool"]["setuptools"]["package-data"]["providers"]
    assert "formats/capability_data/*.json" in globs
    here = root / "providers" / "formats" / "capability_data"
    assert {path.stem for path in here.glob("*.json")} >= set(FORMATS)
