"""What a client key may store of routing is what the data plane reads."""

from __future__ import annotations

import pytest

from providers.routing import overrides, strategies
from providers.routing.overrides import OverrideError, way_of
from providers.snapshot.types import ClientKeyRecord, RoutingRecord
from providers.views.client_key_forms import ClientKeyForm
from usage import services

ROUTING = RoutingRecord()


def key(**changes: object) -> ClientKeyRecord:
    values = {"id": 1, "public_id": "k", "digest": "", "pepper_id": "", "name": "k"}
    return ClientKeyRecord(**{**values, **changes})  # type: ignore[arg-type]


def test_keys_forms_and_data_plane_use_the_same_words() -> None:
    assert set(services.STRATEGIES) == set(strategies.STRATEGIES)
    assert set(services.MODES) == set(strategies.MODES)
    assert services.OVERRIDES == overrides.OVERRIDES
    fields = ClientKeyForm.base_fields
    for name, words in (
        ("default_strategy", services.STRATEGIES),
        ("default_mode", services.MODES),
    ):
        offered = [value for value, _ in fields[name].choices]  # type: ignore[attr-defined]
        assert offered == ["", *words]


@pytest.mark.parametrize("strategy", services.STRATEGIES)
def test_every_strategy_a_key_stores_is_in_force_for_it(strategy: str) -> None:
    assert way_of(key(default_strategy=strategy), ROUTING, {}).strategy == strategy


@pytest.mark.parametrize("mode", services.MODES)
def test_every_mode_a_key_stores_is_in_force_for_it(mode: str) -> None:
    assert way_of(key(default_mode=mode), ROUTING, {}).mode == mode


@pytest.mark.parametrize("word", services.OVERRIDES)
def test_a_request_chooses_only_what_its_key_allows(word: str) -> None:
    value = {"strategy": b"cost", "mode": b"local"}.get(word, b"acme")
    fields = {b"x-pool-" + word.encode(): value}
    way_of(key(overrides_allowed=(word,)), ROUTING, fields)
    others = tuple(each for each in services.OVERRIDES if each != word)
    with pytest.raises(OverrideError):
        way_of(key(overrides_allowed=others), ROUTING, fields)
