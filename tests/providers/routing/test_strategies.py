"""Each strategy orders as it says; groups, modes and families come in their place."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from pricing.cost import PriceSpec
from providers.catalogue import spec
from providers.routing import families
from providers.routing.auto import shortlist
from providers.routing.lineups import line_up
from providers.routing.order import Lineup, Order
from providers.routing.pulse import Pulse
from providers.routing.strategies import arrange, known_strategy
from providers.routing.types import Offer, Way
from providers.snapshot.types import RoutingRecord
from tests.providers.snapshot.records import model, provider

NANO = 1_000_000_000


def _offer(number: int, name: str = "m", **changes: Any) -> Offer:
    price = changes.pop("price", PriceSpec(input=NANO, output=NANO))
    made = {"model_id": name, "price": price}
    made |= {key: changes.pop(key) for key in ("formats",) if key in changes}
    return Offer(provider(number, **changes), model(number, number, **made))


def _price(total: int | None) -> PriceSpec | None:
    return None if total is None else PriceSpec(input=total * NANO, output=0)


class Found:
    """What a name leads to, under a routing."""

    def __init__(self, *offers: Offer, **routing: Any) -> None:
        self._offers = offers
        self._routing = RoutingRecord(**routing)

    def order(self, strategy: str, mode: str = "auto") -> Order:
        return arrange(
            (self._offers,), strategy=strategy, mode=mode, routing=self._routing
        )

    def tiers(self, strategy: str, mode: str = "auto") -> list[set[int]]:
        groups = self.order(strategy, mode).groups
        return [{route.provider.id for route in group.routes} for group in groups]


def test_priority_higher_first() -> None:
    found = Found(_offer(1, priority=10), _offer(2, priority=90), _offer(3))
    assert found.tiers("priority") == [{2}, {3}, {1}]


def test_cost_ascending_free_is_zero_and_unknown_is_last() -> None:
    found = Found(
        _offer(1, price=_price(None), priority=90),
        _offer(2, price=_price(9), priority=90),
        _offer(3, price=_price(0), priority=10),
        _offer(4, price=_price(9), priority=10),
        _offer(5, price=PriceSpec(input=NANO)),
    )
    assert found.tiers("cost") == [{3}, {2}, {4}, {5}, {1}]


def test_round_robin_takes_all_in_turn_whatever_their_weight() -> None:
    found = Found(_offer(1, priority=90), _offer(2, weight=9), _offer(3, priority=10))
    order = found.order("round_robin")
    first = [Lineup(order, turn)[0].provider.id for turn in range(6)]
    assert first == [1, 2, 3, 1, 2, 3]
    second = [route.provider.id for route in Lineup(order, 1)]
    assert second == [2, 3, 1]


def test_weighted_shares_by_weight_whatever_the_priority() -> None:
    order = Found(_offer(1, priority=90, weight=3), _offer(2)).order("weighted")
    first = Counter(Lineup(order, turn)[0].provider.id for turn in range(40))
    assert first == {1: 30, 2: 10}


def test_latency_ascending_unknown_last_within_equal_priority() -> None:
    found = Found(_offer(1), _offer(2), _offer(3, priority=90))
    pulse = Pulse()
    slow, fast = found.order("latency").groups[1].routes
    pulse.served(slow, 2.0)

    def first() -> list[list[int]]:
        lines = [
            line_up(found, Way("latency"), turn, pulse=pulse, now=0.0)
            for turn in range(15)
        ]
        return [[route.provider.id for route in line] for line in lines]

    assert first() == [[3, 1, 2]] * 15
    pulse.served(fast, 1.0)
    assert first() == [[3, 2, 1]] * 15


def test_latency_looks_at_the_slower_one_now_and_then() -> None:
    found = Found(_offer(1), _offer(2))
    pulse = Pulse()
    pulse.served(found.order("latency").groups[0].routes[0], 0.1)
    first = Counter(
        line_up(found, Way("latency"), turn, pulse=pulse, now=0.0)[0].provider.id
        for turn in range(160)
    )
    assert first == {1: 150, 2: 10}


def test_least_busy_counts_calls_under_way_by_weight() -> None:
    found = Found(_offer(1, weight=4), _offer(2))
    pulse = Pulse()
    heavy, light = found.order("least_busy").groups[0].routes
    for _ in range(3):
        pulse.begin(heavy)
    pulse.begin(light)
    way = Way("least_busy")
    assert line_up(found, way, 0, pulse=pulse, now=0.0)[0] == heavy
    pulse.end(light)
    assert line_up(found, way, 0, pulse=pulse, now=0.0)[0] == light


def test_quota_aware_prefers_who_has_more_left_and_unknown_is_not_empty() -> None:
    found = Found(_offer(1), _offer(2))
    pulse = Pulse()
    first, second = found.order("quota_aware").groups[0].routes
    way = Way("quota_aware")
    pulse.quota(first, 0.1, until=100.0)
    assert line_up(found, way, 0, pulse=pulse, now=50.0)[0] == second
    pulse.quota(second, 0.05, until=100.0)
    assert line_up(found, way, 0, pulse=pulse, now=50.0)[0] == first
    # After its reset nothing is known of it, which is neither full nor empty.
    pulse.quota(second, 0.05, until=60.0)
    assert line_up(found, way, 0, pulse=pulse, now=70.0)[0] == second


def test_quota_aware_leaves_an_empty_account_for_last() -> None:
    empty = provider(1).credentials[0]
    empty = msgspec.structs.replace(empty, funds_nano_usd=0)
    found = Found(_offer(1, credentials=(empty,)), _offer(2))
    line = line_up(found, Way("quota_aware"), 0, pulse=Pulse(), now=0.0)
    assert [route.provider.id for route in line] == [2, 1]


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gpt-5-codex", "codex"),
        ("claude-codex", "codex"),
        ("claude-sonnet-4-5", "claude"),
        ("Opus-4", "claude"),
        ("my-haiku", "claude"),
        ("gpt-4o", "default"),
    ],
)
def test_model_family(name: str, family: str) -> None:
    assert families.family_of(name) == family


@pytest.mark.parametrize(
    ("name", "formats", "scores"),
    [
        ("claude-x", ("anthropic", "openai", "responses"), (325, 225, 125)),
        ("codex-x", ("responses", "openai", "anthropic"), (325, 225, 125)),
        ("gpt-4o", ("openai", "anthropic", "responses"), (0, 0, 0)),
        ("claude-x", ("bedrock", "google", "azure"), (325, 0, 225)),
    ],
)
def test_preferred_format_order(
    name: str, formats: tuple[str, ...], scores: tuple[int, ...]
) -> None:
    found = [_offer(n, name, format=each) for n, each in enumerate(formats, 1)]
    assert tuple(families.affinity(o.provider, o.model) for o in found) == scores


def test_a_dialect_spoken_besides_counts_without_the_native_bonus() -> None:
    both = _offer(1, "claude-x", other_formats={"anthropic": ""})
    assert families.affinity(both.provider, both.model) == 300
    only = _offer(1, "claude-x", formats=("anthropic",))
    assert families.affinity(only.provider, only.model) == 300


def test_affinity_decides_among_equals_of_priority_only() -> None:
    offers = (
        _offer(1, "claude-x", priority=90),
        _offer(2, "claude-x"),
        _offer(3, "claude-x", format="anthropic"),
    )
    assert Found(*offers).tiers("priority") == [{1}, {3}, {2}]
    off = Found(*offers, format_affinity=False)
    assert off.tiers("priority") == [{1}, {2, 3}]


@pytest.mark.parametrize(
    ("mode", "ids"), [("auto", {1, 2, 3, 4}), ("local", {2, 3}), ("cloud", {1, 4})]
)
def test_mode_by_effective_location(mode: str, ids: set[int]) -> None:
    found = Found(
        _offer(1),
        _offer(2, location="local"),
        _offer(3, location="local", catalogue="ollama"),
        _offer(4, location="local", catalogue="openai"),
    )
    assert found.tiers("priority", mode) == [ids]
    left_out = {route.provider.id for route in found.order("priority", mode).left_out}
    assert left_out == {1, 2, 3, 4} - ids


def test_runners_are_those_the_catalogue_calls_local() -> None:
    entries = spec.entries().values()
    local = {entry.id for entry in entries if entry.location == "local"}
    assert local == families.LOCAL_RUNNERS
    assert {entry.id for entry in entries} >= families.VENDORS


def test_ordered_groups_come_before_the_strategy() -> None:
    offers = (
        _offer(1, catalogue="openai", priority=90),
        _offer(2, price=_price(0), priority=10),
        _offer(3, slug="relay-a"),
        _offer(4, slug="own", price=None),
        _offer(5, location="local", price=None),
    )
    groups = ("free", "paid", "official")
    assert Found(*offers, groups=groups).tiers("priority") == [{5}, {2}, {3}, {1}, {4}]
    groups = ("relay-*", "other", "free")
    found = Found(*offers, groups=groups).tiers("priority")
    assert found == [{3}, {1}, {4}, {5}, {2}]
    for strategy in ("cost", "round_robin", "latency"):
        assert Found(*offers, groups=("official",)).tiers(strategy)[0] == {1}


def test_targets_of_an_alias_come_before_everything() -> None:
    order = arrange(
        ((_offer(1, price=_price(9)),), (_offer(2, price=_price(0), priority=90),)),
        strategy="cost",
        mode="auto",
        routing=RoutingRecord(groups=("free",)),
    )
    assert [route.provider.id for route in Lineup(order, 0)] == [1, 2]


def test_words_of_strategies() -> None:
    assert known_strategy("quota") == known_strategy("quota_aware") == "quota_aware"
    assert known_strategy("fastest") is None


def test_auto_stands_for_all_of_eight_models_or_less() -> None:
    names = [f"model-{n}" for n in range(6)] + ["text-embedding-3", "whisper-1"]
    assert shortlist(names) == [f"model-{n}" for n in (5, 4, 3, 2, 1, 0)]


def test_auto_keeps_well_known_families_of_many() -> None:
    names = [f"other-{n}" for n in range(20)]
    names += ["claude-a", "glm-5", "gpt-5", "kimi-k2.5", "minimax-m2.7"]
    assert shortlist(names) == [
        "minimax-m2.7",
        "kimi-k2.5",
        "gpt-5",
        "glm-5",
        "claude-a",
    ]


def test_auto_keeps_the_best_known_of_very_many() -> None:
    names = [f"glm-{n:02}" for n in range(30)] + [f"gpt-{n:02}" for n in range(10)]
    assert shortlist(names) == [f"gpt-{n:02}" for n in range(9, -1, -1)]
    names = [f"gpt-{n:02}" for n in range(40)]
    assert shortlist(names) == [f"gpt-{n:02}" for n in range(39, 31, -1)]
