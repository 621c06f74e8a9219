"""Prove that every entry of the catalogue makes a provider, and that search finds it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from poolsite.actor import CLI
from poolsite.destinations import Vetter, host_port_of
from pricing.listing import CAPABILITIES, KINDS
from providers.catalogue import spec
from providers.formats import registry
from providers.services import providers

ENTRIES = spec.entries()
SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
VARIABLE = re.compile(r"[A-Z0-9_]+")
WAYS_IN = {"api_key", "oauth", "cloud", "none"}
SITE_PAIRS = [
    ("minimax", "https://api.minimax.io/anthropic/v1"),
    ("moonshot", "https://api.moonshot.cn/v1"),
    ("siliconflow-cn", "https://api.siliconflow.com/v1"),
    ("qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
    ("zhipu", "https://api.z.ai/api/paas/v4"),
    ("stepfun", "https://api.stepfun.ai/v1"),
]


def filled(entry: spec.CatalogueEntry) -> str:
    """Return a base URL with a word for every name in braces."""
    base_url = entry.base_url
    for name in entry.placeholders:
        base_url = base_url.replace(f"{{{name}}}", "acme")
    return base_url


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_every_entry_is_well_formed(entry: spec.CatalogueEntry) -> None:
    assert SLUG.fullmatch(entry.id)
    assert entry.name.isprintable()
    assert entry.format in registry.formats()
    assert set(entry.other_formats) <= set(registry.formats()) - {entry.format}
    assert all(VARIABLE.fullmatch(name) for name in entry.environment)
    assert entry.auth
    assert set(entry.auth) <= WAYS_IN
    assert ("none" in entry.auth) == (not entry.needs_key)
    assert set(entry.capabilities) <= {*KINDS, *CAPABILITIES}
    for address in (entry.base_url, *entry.alternates, *entry.other_formats.values()):
        assert not address.endswith("/")
    for address in (entry.key_url, entry.documentation, *entry.alternates):
        assert not address or urlsplit(address).scheme == "https"
    assert all(alias == alias.lower() for alias in entry.aliases)


@pytest.mark.django_db
def test_every_entry_makes_a_provider() -> None:
    for entry in ENTRIES.values():
        values = {"base_url": filled(entry)} if entry.placeholders else {}
        row = providers.create_provider(
            CLI, slug=entry.id, catalogue_id=entry.id, **values
        )
        assert (row.base_url, row.type) == (filled(entry), entry.type), entry.id
        assert set(row.other_formats) == set(entry.other_formats), entry.id
        is_open = row.allow_private
        allowed = frozenset({host_port_of(row.base_url)} if is_open else ())
        Vetter().check_url(row.base_url, allowed)


def test_over_a_hundred_providers_are_known() -> None:
    assert len(ENTRIES) > 150


@pytest.mark.parametrize(
    "provider",
    [
        "azure-openai", "vertex", "zhipu-coding", "zai-coding", "openrouter-free",
        "github-copilot", "openai-codex", "google-gemini-cli", "google-antigravity",
        "claude-oauth", "jan", "atomic-chat", "cloudflare", "databricks", "snowflake",
        "avian", "vivgrid", "baichuan", "lingyi", "360", "spark", "qiniu", "helicone",
        "synthetic", "nano-gpt", "elevenlabs", "replicate", "kling", "jimeng", "vidu",
        "sora", "dify", "coze", "jina", "fastgpt", "abacus", "llmgateway", "stackit",
    ],
)  # fmt: skip
def test_provider_of_the_reference_list_is_there(provider: str) -> None:
    assert provider in ENTRIES


@pytest.mark.parametrize(("provider", "root"), SITE_PAIRS)
def test_sites_of_one_vendor_are_alternates(provider: str, root: str) -> None:
    assert root in ENTRIES[provider].alternates


@pytest.mark.parametrize(
    "provider",
    [
        "openai-codex",
        "github-copilot",
        "google-gemini-cli",
        "google-antigravity",
        "claude-oauth",
    ],
)
def test_subscription_is_entered_by_oauth_and_warns(provider: str) -> None:
    entry = ENTRIES[provider]
    assert entry.auth == ("oauth",)
    assert "vendor may" in entry.terms


def test_names_in_braces_are_asked_for() -> None:
    assert ENTRIES["azure-openai"].placeholders == ("resource",)
    assert ENTRIES["openai"].placeholders == ()
    assert ENTRIES["openrouter-free"].listed_as == "openrouter"
    assert ENTRIES["openai"].listed_as == "openai"


def test_featured_entries_have_each_a_place_of_their_own() -> None:
    places = [entry.featured for entry in spec.featured()]
    assert places == sorted(set(places))
    assert places


def test_search_finds_names_first_then_hosts() -> None:
    assert spec.search("groq")[0].id == "groq"
    assert spec.search("OPENAI")[0].id == "openai"
    assert "deepseek" in [entry.id for entry in spec.search("api.deepseek.com")]
    assert len(spec.search("")) == len(ENTRIES)
    assert spec.search("no such vendor") == []


@pytest.mark.parametrize(
    ("word", "provider"),
    [
        ("grok", "xai"),
        ("kimi", "moonshot"),
        ("doubao", "volcengine"),
        ("aws", "bedrock"),
    ],
)
def test_search_knows_a_vendor_by_its_other_names(word: str, provider: str) -> None:
    assert provider in [entry.id for entry in spec.search(word)]


def test_filters_narrow_a_search_together() -> None:
    found = spec.filtered("coding", region="cn")
    assert {"zhipu-coding", "minimax-coding"} <= {entry.id for entry in found} | {
        entry.id for entry in spec.filtered("token plan", region="cn")
    }
    assert all(entry.region == "cn" for entry in found)
    assert {entry.location for entry in spec.filtered(type="local")} == {"local"}
    assert {entry.type for entry in spec.filtered(type="media")} == {"media"}
    assert ENTRIES["groq"] in spec.filtered(free=True, capability="tools")
    assert ENTRIES["openai"] not in spec.filtered(free=True)
    assert ENTRIES["claude-oauth"] in spec.filtered("claude", auth="oauth")
    assert spec.filtered(capability="flying") == []


def test_environment_is_matched_by_name_featured_first() -> None:
    found = spec.match_environment(["PATH", "XAI_API_KEY", "OPENAI_API_KEY", "HOME"])
    assert found[0] == (ENTRIES["openai"], "OPENAI_API_KEY")
    assert (ENTRIES["xai"], "XAI_API_KEY") in found
    assert {name for _, name in found} == {"OPENAI_API_KEY", "XAI_API_KEY"}


def test_first_of_several_variables_counts() -> None:
    found = spec.match_environment(["GOOGLE_API_KEY", "GEMINI_API_KEY"])
    assert [name for entry, name in found if entry.id == "google"] == ["GEMINI_API_KEY"]
