"""Prove that an export comes back whole, and that a bad file changes nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsite.actor import CLI
from poolsite.models import AuditEvent
from pricing import services as prices
from pricing.cost import PriceSpec
from pricing.models import CustomPrice
from providers import selectors_routing
from providers.imports import pool
from providers.models import Alias, Provider, ProviderModel, RoutingRevision
from providers.services import models, providers, routing, routing_rules
from providers.snapshot.records import routing_record
from providers.snapshot.types import RoutingRecord, RuleRecord
from tests import factories
from tests.providers.dump import dump

pytestmark = pytest.mark.django_db
SECRET = "sk-canary-0123456789-abcd"


@contextmanager
def undone() -> Iterator[None]:
    """Run a part and take back all it wrote."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def furnish() -> None:
    """Make a pool that uses every part of an export."""
    acme = factories.make_provider(
        "acme",
        models=["gpt-5-mini", "vendor/model:1", "old"],
        keys=[SECRET],
        name="Acme Ünïted",
        priority=70,
        weight=3,
        headers={"x-team": "core", "HTTP-Referer": "https://example.com"},
        timeouts={"idle_s": 12.5, "connect_s": 3},
        model_access="only",
        models_allowed=["gpt-*", "vendor/*", "old"],
        rpm=60,
        description="two\nlines",
        website="https://acme.example.com",
    )
    models.set_model_facts(
        CLI,
        acme.models.get(model_id="old"),
        enabled=False,
        source="discovered",
        display_name="Old one",
        context_window=8000,
        max_output_tokens=500,
    )
    local = factories.make_provider(
        "local", models=["qwen"], base_url="http://127.0.0.1:11434/v1",
        location="local", allow_private=True, tls_verify=False,
    )  # fmt: skip
    providers.set_enabled(CLI, local, enabled=False)
    gone = factories.make_provider("gone", models=["m"])
    models.set_alias(CLI, "fast", ["acme/gpt-5-mini", "qwen"], description="d")
    models.set_alias(CLI, "vendor/model:1", ["gone/m", "vendor/model:1"])
    providers.remove_provider(CLI, gone)
    prices.set_price(CLI, "gpt-*", PriceSpec(input=1, output=2, cache_read=0))
    prices.set_price(
        CLI, "gpt-5-mini", PriceSpec(input=0, output=0), provider_slug="acme"
    )
    routing.change_settings(CLI, {"strategy": "cost", "cooldown": {"rate_first_s": 9}})
    for rule in (
        RuleRecord("low_funds", "switch_provider", provider="acme", below_nano_usd=5),
        RuleRecord("error", "wait_and_retry", name="n", enabled=False, models=("g*",)),
    ):
        routing_rules.add_rule(CLI, rule)
    routing.publish(CLI, note="ours")
    routing.change_settings(CLI, {"mode": "local"})
    routing.set_default_model(CLI, "fast")
    routing.set_default_provider(CLI, "acme")


def empty() -> None:
    for alias in Alias.objects.filter(deleted_at=None):
        models.remove_alias(CLI, alias)
    for provider in Provider.objects.filter(deleted_at=None):
        providers.remove_provider(CLI, provider)
    for price in CustomPrice.objects.filter(deleted_at=None):
        prices.remove_price(CLI, price)
    RoutingRevision.objects.all().delete()
    routing.set_default_model(CLI, "")
    routing.set_default_provider(CLI, "")


def without_masks(text: str) -> Any:
    data = json.loads(text)
    for provider in data["providers"]:
        provider.pop("key_masks", None)
    return data


def test_export_of_an_import_into_an_empty_pool_is_the_same() -> None:
    furnish()
    first = pool.export_text(CLI)
    empty()
    assert json.loads(pool.export_text(CLI))["providers"] == []
    report = pool.import_bytes(CLI, first.encode())
    assert without_masks(pool.export_text(CLI)) == without_masks(first)
    assert report.need_keys == ["acme"]
    assert len(report.created) == 9
    assert report.updated == []


def test_the_routing_travels_without_its_draft() -> None:
    furnish()
    text = pool.export_text(CLI)
    ours = routing_record()
    empty()
    assert routing_record() == RoutingRecord()
    report = pool.import_bytes(CLI, text.encode())
    assert report.created[-3:] == ["routing 1", "default model", "default provider"]
    assert routing_record() == msgspec.structs.replace(ours, revision=1)
    assert (routing_record().mode, len(routing_record().rules)) == ("auto", 2)
    assert selectors_routing.standing().draft is None
    assert selectors_routing.defaults() == {
        "default_model": "fast",
        "default_provider": "acme",
    }


def test_an_import_leaves_the_draft_and_what_the_file_does_not_name() -> None:
    furnish()
    before = selectors_routing.standing()
    silent = {"format": "provider-pool", "version": 1}
    pool.import_bytes(CLI, json.dumps(silent).encode())
    assert selectors_routing.standing().tag == before.tag
    data = {**silent, "routing": {"strategy": "latency"}}
    report = pool.import_bytes(CLI, json.dumps(data).encode())
    assert report.updated[-1] == "routing 3"
    now = selectors_routing.standing()
    assert (now.in_force.strategy, now.edited.mode) == ("latency", "local")
    assert now.is_overtaken
    assert selectors_routing.default_model() == "fast"


def test_a_default_provider_that_is_gone_stays_behind() -> None:
    furnish()
    providers.remove_provider(CLI, Provider.objects.get(slug="acme", deleted_at=None))
    assert selectors_routing.default_provider() == "acme"
    text = pool.export_text(CLI)
    empty()
    pool.import_bytes(CLI, text.encode())
    assert selectors_routing.default_provider() == ""


def test_second_import_of_the_same_file_changes_nothing_but_the_trail() -> None:
    furnish()
    text = pool.export_text(CLI)
    pool.import_bytes(CLI, text.encode())
    assert pool.export_text(CLI) == text
    assert not ProviderModel.objects.get(model_id="old", deleted_at=None).enabled


def test_import_switches_and_changes_what_is_there() -> None:
    furnish()
    data = json.loads(pool.export_text(CLI))
    [acme] = [each for each in data["providers"] if each["id"] == "acme"]
    acme.update(enabled=False, priority=1)
    report = pool.import_bytes(CLI, json.dumps(data).encode())
    row = Provider.objects.get(slug="acme", deleted_at=None)
    assert (row.enabled, row.priority) == (False, 1)
    assert "provider acme" in report.updated
    assert row.api_keys.filter(deleted_at=None).count() == 1


def test_export_holds_masks_and_no_secret() -> None:
    furnish()
    text = pool.export_text(CLI)
    assert SECRET not in text
    assert "canary" not in text
    assert "sk-…abcd" in json.loads(text)["providers"][0]["key_masks"]


def test_export_and_import_are_in_the_trail() -> None:
    pool.import_bytes(CLI, pool.export_text(CLI).encode())
    found = list(AuditEvent.objects.order_by("id").values_list("action", flat=True))
    assert found == ["pool.export", "pool.import"]


def test_dry_run_tells_and_writes_nothing() -> None:
    furnish()
    text = pool.export_text(CLI)
    empty()
    before = dump()
    report = pool.import_bytes(CLI, text.encode(), dry_run=True)
    assert len(report.created) == 9
    assert dump() == before


def good() -> dict[str, Any]:
    return {
        "format": "provider-pool",
        "version": 1,
        "providers": [
            {
                "id": "new",
                "base_url": "https://new.example.com/v1",
                "name": "New",
                "headers": {"x-team": "core"},
                "timeouts": {"idle_s": 5},
                "priority": 10,
                "rpm": 5,
                "models": [{"id": "m1", "context_window": 100}, {"id": "m2"}],
            }
        ],
        "aliases": [{"name": "a", "targets": [{"model": "m1", "provider": "new"}]}],
        "prices": [{"model": "m1", "columns": {"input": 1, "output": 2}}],
        "routing": {
            "strategy": "cost",
            "sticky_s": 60,
            "rules": [{"trigger": "error", "action": "switch_model", "model": "m2"}],
        },
        "default_model": "a",
        "default_provider": "new",
    }


def bad(path: str, value: Any) -> dict[str, Any]:
    """Return the good file with one place changed."""
    data: Any = good()
    place = data
    *way, last = path.split(".")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[int(last) if last.isdigit() else last] = value
    return dict(data)


BAD = [
    b"", b"{", b"[]", b"null", b"\xff\xfe{}", b'{"format":"provider-pool"}',
    b"[" * 100_000, b'{"format":"provider-pool","version":1,"providers":[null]}',
    bad("format", "litellm"), bad("version", 2), bad("version", "1"),
    bad("unknown", 1), bad("providers.0.unknown", 1),
    bad("providers.0.id", ""), bad("providers.0.id", "UPPER"),
    bad("providers.0.id", "a b"), bad("providers.0.id", "x" * 65),
    bad("providers.0.base_url", "ftp://x"), bad("providers.0.base_url", None),
    bad("providers.0.base_url", "https://u:p@x.example.com"),
    bad("providers.0.api_format", "nope"), bad("providers.0.catalogue_id", "nope"),
    bad("providers.0.priority", 101), bad("providers.0.priority", 10**30),
    bad("providers.0.weight", -1), bad("providers.0.name", "x" * 200),
    bad("providers.0.name", "nul\x00"), bad("providers.0.headers", {"authorization": "x"}),
    bad("providers.0.timeouts", {"idle_s": -1}), bad("providers.0.rpm", 2**40),
    bad("providers.0.models", [{"id": ""}]), bad("providers.0.models", [{"id": " x "}]),
    bad("providers.0.models", [{"id": "a"}, {"id": "a"}]),
    bad("providers.0.models", [{"id": "a", "source": "nope"}]),
    bad("providers.0.models", [{"id": "a", "context_window": -1}]),
    bad("providers.0.model_access", "only"), bad("providers.0.tls_verify", False),
    bad("providers", [good()["providers"][0]] * 2),
    bad("aliases.0.name", ""), bad("aliases.0.name", "nul\x00"),
    bad("aliases.0.name", "x" * 201),
    bad("aliases.0.targets", []), bad("aliases.0.targets", [{"model": ""}]),
    bad("aliases.0.targets", [{"model": "m1"}] * 2),
    bad("aliases.0.targets", [{"model": "m", "provider": "x" * 65}]),
    bad("prices.0.columns", {}), bad("prices.0.columns", {"input": -1, "output": 1}),
    bad("prices.0.columns", {"input": 10**19, "output": 1}),
    bad("prices.0.columns", {"nope": 1}), bad("prices.0.model", " "),
    bad("prices.0.model", "nul\x00"), bad("prices.0.provider", "nul\x00"),
    bad("prices.0.model", "x" * 201), bad("prices.0.provider", "x" * 65),
    bad("routing", []), bad("routing.strategy", "nope"), bad("routing.sticky_s", -1),
    bad("routing.revision", 7), bad("routing.x" + "y\n" * 500, 1), bad("routing.groups", 5),
    bad("routing.cooldown", {"nope\n" * 500: 1}), bad("routing.rules", [None]),
    bad("routing.rules.0.unknown", 1), bad("routing.rules.0.trigger", "nope"),
    bad("routing.rules.0.model", ""), bad("routing.rules.0.name", "nul\x00"),
    bad("routing.rules.0", {"trigger": "low_funds", "action": "switch_provider",
                            "provider": "new", "below_nano_usd": 2**70}),
    bad("default_model", "nul\x00"), bad("default_provider", "nobody"),
]  # fmt: skip


@pytest.mark.parametrize("file", BAD, ids=range(len(BAD)))
def test_bad_file_is_refused_in_a_sentence_and_changes_nothing(file: Any) -> None:
    furnish()
    before = dump()
    raw = file if isinstance(file, bytes) else json.dumps(file).encode()
    with pytest.raises(pool.ImportFileError) as refusal:
        pool.import_bytes(CLI, raw)
    assert dump() == before
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


def test_fault_in_the_last_entry_takes_the_first_ones_back() -> None:
    data = good()
    data["prices"].append({"model": "z", "columns": {"input": -1, "output": 0}})
    before = dump()
    with pytest.raises(pool.ImportFileError, match="Price of z"):
        pool.import_bytes(CLI, json.dumps(data).encode())
    assert dump() == before


LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(),
    st.text(max_size=20), st.just("x" * 5000), st.just([]), st.just({}),
    st.sampled_from(["\x00", "../..", "a/b", "*", "only", "https://[::1]:99999"]),
)  # fmt: skip


def places(data: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, from the root down."""
    yield way
    steps = data.items() if isinstance(data, dict) else enumerate(data)
    for step, inner in steps:
        if isinstance(inner, dict | list):
            yield from places(inner, (*way, step))
        else:
            yield (*way, step)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = copy.deepcopy(good())
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from([p for p in places(data) if p]))
        place: Any = data
        for step in way:
            place = place[step]
        if draw(st.booleans()):
            place[last] = draw(LEAF)
        elif isinstance(place, dict):
            del place[last]
        else:
            place.append(copy.deepcopy(place[last]))
    raw = json.dumps(data).encode()
    if draw(st.booleans()):
        at = draw(st.integers(0, len(raw)))
        raw = (
            raw[:at] + draw(st.binary(max_size=3)) + raw[at + draw(st.integers(0, 3)) :]
        )
    return raw


@settings(max_examples=200, deadline=None)
@given(raw=mutated())
def test_mutated_file_is_taken_whole_or_refused_whole(raw: bytes) -> None:
    with undone():
        before = dump()
        try:
            pool.import_bytes(CLI, raw)
        except pool.ImportFileError:
            assert dump() == before
        else:
            again = pool.export_text(CLI)
            pool.import_bytes(CLI, again.encode())
            assert pool.export_text(CLI) == again


def test_prices_travel_with_the_time_they_hold_for() -> None:
    begins = datetime(2099, 1, 1, tzinfo=UTC)
    prices.set_price(CLI, "m", PriceSpec(input=1, output=1))
    prices.set_price(
        CLI, "m", PriceSpec(input=2, output=2), valid_from=begins, reason="contract"
    )
    text = pool.export_text(CLI)
    empty()
    pool.import_bytes(CLI, text.encode())
    assert json.loads(pool.export_text(CLI))["prices"] == json.loads(text)["prices"]
    later = CustomPrice.objects.get(deleted_at=None, valid_from=begins)
    assert (later.version.input, later.reason) == (2, "contract")
