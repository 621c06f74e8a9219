"""Equals share or are compared, everybody is met once, and turns are deterministic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.routing.lineups import line_up
from providers.routing.order import Lineup, Order, Turns
from providers.routing.pulse import Pulse
from providers.routing.strategies import DYNAMIC, MODES, STRATEGIES, arrange
from providers.routing.types import Offer, Route, Way, mark_of
from providers.snapshot.types import ProviderRecord, RoutingRecord
from tests.providers.snapshot.records import model, provider

ROUTING = RoutingRecord()


class Found:
    """What a name leads to: one list of offers."""

    def __init__(self, offers: Sequence[Offer]) -> None:
        self._offers = tuple(offers)

    def order(self, strategy: str, mode: str) -> Order:
        return arrange((self._offers,), strategy=strategy, mode=mode, routing=ROUTING)


def _with_credentials(
    number: int, priority: int, credentials: list[int], weight: int = 1
) -> ProviderRecord:
    base = provider(number).credentials[0]
    made = [
        msgspec.structs.replace(base, id=number * 100 + place, priority=each)
        for place, each in enumerate(credentials)
    ]
    return provider(number, priority=priority, credentials=tuple(made), weight=weight)


def _order(offers: Sequence[Offer], strategy: str = "priority") -> Order:
    return Found(offers).order(strategy, "auto")


def _equals(count: int, **changes: object) -> list[Offer]:
    return [Offer(provider(n, **changes), model(n, n)) for n in range(1, count + 1)]


def _providers(routes: Sequence[Route]) -> list[int]:
    return [route.provider.id for route in routes]


def test_priority_is_the_providers_then_the_credentials() -> None:
    order = _order(
        [
            Offer(_with_credentials(1, 40, [90, 50]), model(1, 1)),
            Offer(_with_credentials(2, 60, [10]), model(2, 2)),
        ]
    )
    found = [
        (route.provider.id, route.credential.priority)  # type: ignore[union-attr]
        for route in Lineup(order, 0)
    ]
    assert found == [(2, 10), (1, 90), (1, 50)]


def test_a_provider_without_a_key_serves_only_where_none_is_needed() -> None:
    local = provider(1, credentials=(), needs_key=False)
    cloud = provider(2, credentials=())
    order = _order([Offer(local, model(1, 1)), Offer(cloud, model(2, 2))])
    assert _providers(Lineup(order, 0)) == [1]


@given(st.lists(st.integers(1, 20), min_size=2, max_size=6), st.integers(1, 3))
def test_equals_share_the_work_by_weight(weights: list[int], rounds: int) -> None:
    order = _order(
        [
            Offer(_with_credentials(number, 50, [50], weight), model(number, number))
            for number, weight in enumerate(weights, 1)
        ]
    )
    total = sum(weights)
    first = Counter(Lineup(order, n)[0].provider.id for n in range(total * rounds))
    assert first == {n: weight * rounds for n, weight in enumerate(weights, 1)}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(0, 50))
def test_every_order_holds_every_route_once_best_first(
    priorities: list[int], turn: int
) -> None:
    order = _order(
        [
            Offer(_with_credentials(number, priority, [50]), model(number, number))
            for number, priority in enumerate(priorities, 1)
        ]
    )
    line = Lineup(order, turn)
    seen = list(line)
    assert sorted(_providers(seen)) == list(range(1, len(priorities) + 1))
    assert [route.provider.priority for route in seen] == sorted(
        priorities, reverse=True
    )
    assert [line[place] for place in range(len(line))] == seen
    assert (line[-1], tuple(line[0:2])) == (seen[-1], tuple(seen[:2]))


@given(
    st.sampled_from(STRATEGIES),
    st.sampled_from(MODES),
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["cloud", "local"])),
        min_size=1,
        max_size=9,
    ),
    st.integers(0, 40),
    st.sets(st.integers(1, 9)),
    st.sets(st.integers(1, 9)),
)
def test_every_ordering_is_a_permutation(
    strategy: str,
    mode: str,
    offered: list[tuple[int, str]],
    turn: int,
    unusable: set[int],
    preferred: set[int],
) -> None:
    offers = [
        Offer(provider(n, priority=priority, location=place), model(n, n))
        for n, (priority, place) in enumerate(offered, 1)
    ]
    pulse = Pulse()
    for offer in offers[::2]:
        pulse.served(Route(offer.provider, offer.model), offer.model.id)
    way = Way(strategy, mode, prefer=tuple(f"p{n}" for n in preferred))
    line = line_up(Found(offers), way, turn, pulse=pulse, now=0.0)
    walked = list(line.walk(lambda route: route.provider.id not in unusable))
    inside = {n for n, (_, place) in enumerate(offered, 1) if mode in ("auto", place)}
    assert sorted(_providers(walked)) == sorted(inside)
    assert len(line) == len(walked)
    left_out = {route.provider.id for route in line.order.left_out}
    assert left_out == set(range(1, len(offered) + 1)) - inside


@pytest.mark.parametrize("strategy", sorted(DYNAMIC))
def test_two_equals_drawn_alike_come_out_alike(strategy: str) -> None:
    order = _order(_equals(50), strategy)
    lines = [Lineup(order, 7, measure=lambda _: 0.0) for _ in range(2)]
    assert list(lines[0]) == list(lines[1])
    assert list(Lineup(order, 8, measure=lambda _: 0.0)) != list(lines[0])


def test_choices_of_two_reach_everybody_about_evenly() -> None:
    order = _order(_equals(10), "least_busy")
    first = Counter(
        Lineup(order, turn, measure=lambda _: 0.0)[0].provider.id
        for turn in range(10_000)
    )
    assert set(first) == set(range(1, 11))
    assert max(first.values()) < 1.2 * min(first.values())


def test_the_better_of_two_goes_first_and_the_other_is_met_later() -> None:
    order = _order(_equals(2), "latency")
    slow, fast = order.groups[0].routes
    measure = {mark_of(slow): 2.0, mark_of(fast): 1.0}
    for turn in range(15):
        line = Lineup(order, turn, measure=lambda route: measure[mark_of(route)])
        assert list(line) == [fast, slow]


def test_an_unusable_one_never_wins_against_a_usable_one() -> None:
    order = _order(_equals(6), "least_busy")
    usable = {2, 5}
    for turn in range(200):
        line = Lineup(order, turn, measure=lambda route: float(route.provider.id))
        walked = line.walk(lambda route: route.provider.id in usable)
        met = [route.provider.id for route in walked if route.provider.id in usable]
        assert met == [2, 5]


def test_names_take_turns_apart_from_one_another() -> None:
    turns = Turns()
    assert [turns.take("a"), turns.take("a"), turns.take("b")] == [0, 1, 0]
    assert (turns.peek("a"), turns.peek("b"), turns.peek("c")) == (2, 1, 0)
    for number in range(5000):
        turns.take(f"name {number}")
    assert turns.peek("a") == 0


def test_a_preferred_provider_goes_first_and_its_keys_take_turns() -> None:
    offers = [
        Offer(_with_credentials(1, 90, [50]), model(1, 1)),
        Offer(_with_credentials(2, 10, [50, 50]), model(2, 2)),
    ]
    found = Found(offers)
    first = []
    for turn in range(4):
        way = Way(prefer=("p2",))
        line = list(line_up(found, way, turn, pulse=Pulse(), now=0.0))
        assert _providers(line) == [2, 2, 1]
        first.append(line[0])
    assert Counter(route.credential.id for route in first if route.credential) == {
        200: 2,
        201: 2,
    }


def test_a_kept_route_goes_first_unless_the_client_prefers_another() -> None:
    found = Found(_equals(3))
    order = found.order("priority", "auto")
    kept = order.groups[0].routes[2]
    line = line_up(found, Way(), 0, pulse=Pulse(), now=0.0, kept=mark_of(kept))
    assert _providers(line) == [3, 1, 2]
    assert len(line) == 3
    way = Way(prefer=("p2",))
    line = line_up(found, way, 0, pulse=Pulse(), now=0.0, kept=mark_of(kept))
    assert _providers(line)[0] == 2
    gone = (99, 1, "api_key", 1)
    line = line_up(found, Way(), 0, pulse=Pulse(), now=0.0, kept=gone)
    assert _providers(line) == [1, 2, 3]
