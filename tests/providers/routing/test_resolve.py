"""Names lead where design 4 says, equals share, and access lists hold."""

from __future__ import annotations

import time

import pytest

from providers.routing.access import may_use_model, may_use_provider, permits
from providers.routing.near import near_names
from providers.routing.resolve import Answer, Index
from providers.snapshot.types import (
    AliasRecord,
    ModelRecord,
    ProviderRecord,
    RoutingRecord,
    TargetRecord,
)
from tests.providers.snapshot.records import client_key, model, provider


def _pool(
    served: dict[str, list[str]],
    *,
    default: str = "",
    default_provider: str = "",
    **aliases: list[str],
) -> Index:
    """Build an index: models by provider slug, aliases with ``provider/model``."""
    providers: dict[int, ProviderRecord] = {}
    models: list[ModelRecord] = []
    for number, (slug, names) in enumerate(served.items(), 1):
        providers[number] = provider(number, slug=slug, name=f"{slug.title()} Inc.")
        for name in names:
            models.append(model(len(models) + 1, number, model_id=name))
    records = {
        name: AliasRecord(name, tuple(_target(text) for text in targets))
        for name, targets in aliases.items()
    }
    return Index(
        providers,
        models,
        records,
        default_model=default,
        default_provider=default_provider,
    )


def _target(text: str) -> TargetRecord:
    slug, _, rest = text.partition(":")
    return TargetRecord(rest, slug) if rest else TargetRecord(slug)


def _routes(answer: Answer) -> list[str]:
    return [
        f"{route.provider.slug}:{route.model.model_id}"
        for group in answer.order("priority", "auto", RoutingRecord()).groups
        for route in group.routes
    ]


POOL = {
    "openai": ["gpt-4o", "gpt-4o-mini", "gpt-4o-2024-08-06", "o3"],
    "open-router": ["openai/gpt-4o", "gpt-4o", "claude-sonnet-4-5-20250929"],
    "anthropic": ["claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20251101"],
}


@pytest.mark.parametrize(
    ("asked", "how", "routes"),
    [
        ("o3", "model", ["openai:o3"]),
        ("gpt-4o", "model", ["openai:gpt-4o", "open-router:gpt-4o"]),
        ("GPT-4O", "model", ["openai:gpt-4o", "open-router:gpt-4o"]),
        ("models/o3", "model", ["openai:o3"]),
        ("openai/gpt-4o", "model", ["open-router:openai/gpt-4o"]),
        ("openai/o3", "provider", ["openai:o3"]),
        ("Open_Router/gpt-4o", "provider", ["open-router:gpt-4o"]),
        ("open-router-inc/gpt-4o", "provider", ["open-router:gpt-4o"]),
        ("openai/GPT-4o-mini", "provider", ["openai:gpt-4o-mini"]),
        ("open-router/openai/gpt-4o", "provider", ["open-router:openai/gpt-4o"]),
        ("o3-2025-04-16", "variant", ["openai:o3"]),
        ("o3-latest", "variant", ["openai:o3"]),
        (
            "claude-sonnet-4-5",
            "variant",
            ["anthropic:claude-sonnet-4-5-20251101"],
        ),
        (
            "claude-sonnet-4-5-20250929",
            "model",
            [
                "open-router:claude-sonnet-4-5-20250929",
                "anthropic:claude-sonnet-4-5-20250929",
            ],
        ),
        (
            "fast",
            "alias",
            ["anthropic:claude-sonnet-4-5-20251101", "openai:gpt-4o-mini"],
        ),
        (
            "Fast",
            "alias",
            ["anthropic:claude-sonnet-4-5-20251101", "openai:gpt-4o-mini"],
        ),
        ("", "default", ["openai:o3"]),
        ("auto", "default", ["openai:o3"]),
    ],
)
def test_names_lead_to_routes(asked: str, how: str, routes: list[str]) -> None:
    index = _pool(
        POOL, default="o3", fast=["anthropic:claude-sonnet-4-5", "gpt-4o-mini"]
    )
    answer = index.find(asked)
    assert answer.is_known
    assert (answer.how, _routes(answer)) == (how, routes)


@pytest.mark.parametrize(
    "asked",
    [
        "nothing",
        "gpt-4",
        "openai/claude-sonnet-4-5-20250929",
        "nobody/gpt-4o",
        "claude-sonnet-4-5-20240101",
        "openai/",
        "/gpt-4o",
        "x" * 5000,
    ],
)
def test_unknown_names_are_not_guessed(asked: str) -> None:
    assert not _pool(POOL).find(asked).is_known


def test_an_exact_model_id_beats_an_alias_of_another_case() -> None:
    index = _pool({"a": ["gpt-4o"]}, **{"GPT-4o": ["a:nothing"]})
    assert index.find("gpt-4o").how == "model"
    assert index.find("GPT-4o").how == "alias"


def test_the_default_provider_leads_for_bare_names_only() -> None:
    served = {"a": ["m-2025-01-01"], "b": ["m-2025-01-01"], "c": ["m-2025-01-01"]}
    index = _pool(served, default_provider="b", fast=["m"])
    for asked in ("m-2025-01-01", "m"):
        routes = _routes(index.find(asked))
        assert routes == [f"{slug}:m-2025-01-01" for slug in "bac"]
    assert _routes(index.find("c/m"))[0] == "c:m-2025-01-01"
    assert _routes(index.find("fast"))[0] == "a:m-2025-01-01"
    assert _routes(_pool(served, default_provider="gone").find("m"))[0][0] == "a"


def test_an_alias_may_hide_a_model_and_lead_to_it() -> None:
    index = _pool({"a": ["gpt"], "b": ["gpt"]}, gpt=["b:gpt", "a:gpt", "gpt"])
    assert _routes(index.find("gpt")) == ["b:gpt", "a:gpt"]


def test_an_alias_to_nothing_is_known_without_routes() -> None:
    answer = _pool({"a": ["m"]}, gone=["nobody:x"]).find("gone")
    assert answer.is_known
    assert not answer.is_served
    assert _routes(answer) == []


def test_a_provider_serves_only_what_its_list_allows() -> None:
    only = provider(1, slug="a", model_access="only", models_allowed=("gpt-*",))
    none = provider(2, slug="b", model_access="none")
    empty = provider(3, slug="c", model_access="only", models_allowed=())
    models = [
        model(number, owner, model_id=name)
        for number, (owner, name) in enumerate(
            [(1, "gpt-4o"), (1, "o3"), (2, "gpt-4o"), (3, "gpt-4o")], 1
        )
    ]
    index = Index({1: only, 2: none, 3: empty}, models, {})
    assert _routes(index.find("gpt-4o")) == ["a:gpt-4o"]
    assert not index.find("o3").is_known


def test_a_model_without_its_provider_serves_nothing() -> None:
    assert not Index({}, [model(1, 7)], {}).find("model-1").is_known


def test_an_empty_list_is_never_all() -> None:
    assert permits("all", (), "x")
    assert not permits("only", (), "x")
    assert not permits("none", ("*",), "x")
    assert not permits("later-word", ("*",), "x")
    assert permits("only", ("gpt-*", "o?"), "O3")


def test_a_key_may_be_given_an_alias_or_what_it_leads_to() -> None:
    by_alias = client_key(1, model_access="only", models_allowed=("fast",))
    by_model = client_key(1, model_access="only", models_allowed=("gpt-*",))
    by_pair = client_key(1, model_access="only", models_allowed=("openai/*",))
    offer = ("openai", "gpt-4o")
    assert may_use_model(by_alias, "fast", offer)
    assert not may_use_model(by_alias, "gpt-4o", offer)
    assert may_use_model(by_model, "fast", offer)
    assert may_use_model(by_pair, "fast", offer)
    key = client_key(1, provider_access="only", providers_allowed=("open*",))
    assert may_use_provider(key, "openai")
    assert not may_use_provider(key, "anthropic")


def test_near_names_are_few_alike_and_cheap() -> None:
    names = [f"vendor-{n}-model-{n % 97}" for n in range(10_000)]
    names += ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5"]
    assert near_names("gpt-4o-mimi", names)[0] == "gpt-4o-mini"
    assert near_names("claud-sonnet-4-5", names)[0] == "claude-sonnet-4-5"
    assert near_names("", names) == ()
    assert len(near_names("vendor-12-model", names)) <= 5
    started = time.perf_counter()
    near_names("vendor-1234-mode-99" + "x" * 150, names)
    assert time.perf_counter() - started < 0.25


def test_pattern_leads_whatever_has_no_model_of_its_own():
    pool = _pool(
        {"up": ["claude-opus-4", "big", "small"]},
        **{"claude-*opus*": ["up:big"], "claude-*": ["up:small"]},
    )
    assert _routes(pool.find("claude-opus-4")) == ["up:claude-opus-4"]
    assert _routes(pool.find("claude-opus-4-8")) == ["up:big"]
    assert _routes(pool.find("CLAUDE-3-OPUS-20240229")) == ["up:big"]
    assert _routes(pool.find("models/claude-haiku-4-5")) == ["up:small"]
    assert not pool.find("gpt-5").is_known


def test_pattern_is_no_name_to_ask_for():
    pool = _pool({"up": ["big"]}, **{"claude-*": ["up:big"]})
    assert [name for name, _ in pool.names()] == ["big"]
    assert "claude-*" not in pool.near("claude-")
