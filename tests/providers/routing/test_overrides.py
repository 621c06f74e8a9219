"""A key's own words come before the pool's, a request's where its key allows them."""

from __future__ import annotations

import pytest

from providers.routing.overrides import OVERRIDES, OverrideError, way_of
from providers.routing.strategies import MODES, STRATEGIES
from providers.routing.types import Way
from providers.snapshot.types import RoutingRecord
from tests.providers.snapshot.records import client_key
from usage import services

ROUTING = RoutingRecord(strategy="cost", mode="cloud")


def test_the_words_are_those_a_client_key_is_given() -> None:
    assert services.OVERRIDES == OVERRIDES
    assert services.MODES == MODES
    assert set(services.STRATEGIES) == set(STRATEGIES)


def test_the_key_comes_before_the_pool() -> None:
    assert way_of(client_key(1), ROUTING, {}) == Way("cost", "cloud")
    own = client_key(1, default_strategy="latency", default_mode="local")
    assert way_of(own, ROUTING, {}) == Way("latency", "local")
    strange = client_key(1, default_strategy="later", default_mode="moon")
    assert way_of(strange, ROUTING, {}) == Way("cost", "cloud")
    assert way_of(strange, RoutingRecord(strategy="later", mode="x"), {}) == Way()


def test_a_request_chooses_what_its_key_allows() -> None:
    key = client_key(1, overrides_allowed=OVERRIDES)
    fields = {
        b"x-pool-strategy": b" Round_Robin ",
        b"x-pool-mode": b"AUTO",
        b"x-pool-exclude": b"a, b/m ,,a",
        b"x-pool-prefer": b"c",
    }
    way = way_of(key, ROUTING, fields)
    assert way == Way("round_robin", "auto", prefer=("c",), exclude=("a", "b/m"))
    assert way_of(key, ROUTING, {b"x-pool-mode": b""}) == Way("cost", "cloud")


@pytest.mark.parametrize("word", OVERRIDES)
def test_what_a_key_does_not_allow_is_refused_by_name(word: str) -> None:
    others = tuple(each for each in OVERRIDES if each != word)
    key = client_key(1, overrides_allowed=others)
    fields = {f"x-pool-{word}".encode(): b"priority"}
    with pytest.raises(OverrideError) as refused:
        way_of(key, ROUTING, fields)
    assert refused.value.header == f"x-pool-{word}"
    assert refused.value.code == "override_not_allowed"
    assert refused.value.header in str(refused.value)
    if word in ("exclude", "prefer", "strategy"):
        assert way_of(key, ROUTING, fields, is_own=True) != way_of(key, ROUTING, {})


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"x-pool-strategy", b"fastest"),
        (b"x-pool-mode", b"moon"),
        (b"x-pool-mode", b"\xff\xfe"),
        (b"x-pool-exclude", b",".join(b"p%d" % n for n in range(51))),
        (b"x-pool-prefer", b"x" * 5000),
    ],
)
def test_a_value_nobody_knows_is_refused(header: bytes, value: bytes) -> None:
    key = client_key(1, overrides_allowed=OVERRIDES)
    with pytest.raises(OverrideError) as refused:
        way_of(key, ROUTING, {header: value})
    assert refused.value.code == "invalid_override"
    assert refused.value.header == header.decode()
