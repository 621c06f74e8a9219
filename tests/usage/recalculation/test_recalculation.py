"""What a recalculation finds, writes and takes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from poolsite.actor import SYSTEM
from poolsite.models import AuditEvent
from pricing.cost import PriceSpec, cost_nano_usd
from pricing.models import PriceVersion
from pricing.tokens import TokenUsage
from providers.models import Provider
from providers.services import providers
from tests.usage.recalculation import traffic
from tests.usage.recalculation.traffic import ALL, NEW, OLD
from usage import rebuild
from usage.models import Attempt, CostAdjustment, Dimension, RollupDay
from usage.recalculation import choose, services
from usage.recalculation.choose import Span
from usage.services import UsageError

pytestmark = pytest.mark.django_db(transaction=True)
DAYS = (date(2026, 1, 31), date(2026, 2, 1))


def expected() -> dict[object, int | None]:
    """What every attempt costs at today's prices, worked out here."""
    words = dict(Dimension.objects.values_list("id", "value"))
    found: dict[object, int | None] = {}
    for row in Attempt.objects.values():
        source = words.get(row["price_source_dim"] or 0, "")
        is_priced = words[row["model_dim"]] in traffic.MODELS[:2]
        if source == "provider" or not is_priced or row["input_tokens"] is None:
            found[row["id"]] = row["cost_nano_usd"]
        else:
            found[row["id"]] = cost_nano_usd(usage_of(dict(row)), NEW)
    return found


def rebuilt() -> dict[str, object]:
    for day in DAYS:
        rebuild.rebuild_day(day)
    return traffic.rollups()


def test_run_brings_every_attempt_to_the_price_in_force() -> None:
    traffic.make_traffic(60)
    traffic.set_prices()
    wanted = expected()
    before = traffic.whole_cost()

    run = traffic.start()
    assert not CostAdjustment.objects.exists()
    traffic.apply(run)

    run.refresh_from_db()
    assert run.state == "applied"
    assert traffic.shown_costs() == wanted
    assert run.applied_nano_usd == traffic.whole_cost() - before
    assert run.figures["delta_nano_usd"] == run.applied_nano_usd
    assert run.figures["changed"] == run.applied == CostAdjustment.objects.count()
    total = RollupDay.objects.filter(kind="purpose")
    assert sum(row.cost_nano_usd for row in total) == traffic.whole_cost()


def test_rollups_equal_those_made_anew_from_the_rows() -> None:
    traffic.make_traffic(60)
    traffic.set_prices()
    assert traffic.rollups() == rebuilt()
    run = traffic.apply(traffic.start())
    grown = traffic.rollups()
    assert grown == rebuilt()
    traffic.undo(run)
    assert traffic.rollups() == rebuilt()


def test_undo_restores_totals_to_the_nano_and_keeps_history() -> None:
    traffic.make_traffic(60)
    traffic.set_prices()
    rollups, costs = traffic.rollups(), traffic.shown_costs()

    run = traffic.undo(traffic.apply(traffic.start()))

    assert run.state == "undone"
    assert traffic.rollups() == rollups
    assert traffic.shown_costs() == costs
    assert run.undone == run.applied > 0
    assert CostAdjustment.objects.count() == 2 * run.applied
    with pytest.raises(UsageError, match="undone"):
        services.undo(SYSTEM, run)


def test_second_run_counts_from_what_the_first_made() -> None:
    traffic.make_traffic(40)
    traffic.set_prices()
    first = traffic.apply(traffic.start())
    middle = traffic.shown_costs()
    traffic.set_prices(spec=replace_input(NEW, 5_000_000_000))

    second = traffic.apply(traffic.start())
    assert traffic.shown_costs() != middle
    with pytest.raises(UsageError, match=f"Number {second.pk} builds on this one"):
        services.undo(SYSTEM, first)
    traffic.undo(second)
    assert traffic.shown_costs() == middle
    traffic.undo(first)
    assert traffic.rollups() == rebuilt()


def test_same_prices_again_change_nothing() -> None:
    traffic.make_traffic(30)
    traffic.set_prices()
    traffic.apply(traffic.start())
    again = traffic.start()
    assert (again.figures["changed"], again.figures["delta_nano_usd"]) == (0, 0)
    assert again.figures["unchanged"] > 0
    assert traffic.apply(again).applied == 0


def test_unpriceable_attempts_are_listed_and_not_zeroed() -> None:
    traffic.make_traffic(60)
    traffic.set_prices()
    unknown = [key for key, cost in expected().items() if cost is None]
    run = traffic.apply(traffic.start())
    assert run.figures["unpriceable"] > 0
    names = {line["name"] for line in run.figures["without_price"]}
    assert names == {"acme:strange", "other:strange"}
    assert run.figures["samples"]
    shown = traffic.shown_costs()
    assert all(shown[key] is None for key in unknown)


def test_only_unpriced_leaves_known_costs_alone() -> None:
    traffic.make_traffic(60)
    traffic.set_prices()
    before = traffic.shown_costs()
    run = traffic.apply(traffic.start(replace(ALL, only_unpriced=True)))
    after = traffic.shown_costs()
    changed = [key for key in after if after[key] != before[key]]
    assert changed
    assert all(before[key] is None for key in changed)
    assert run.figures["newly_priced"] == len(changed) == run.applied


def test_reported_costs_change_only_when_asked() -> None:
    traffic.make_traffic(60)
    traffic.set_prices()
    plain = traffic.start()
    assert plain.figures["reported"] > 0
    asked = traffic.start(replace(ALL, with_reported=True))
    assert asked.figures["reported"] == 0
    assert asked.figures["changed"] > plain.figures["changed"]


def test_range_provider_and_pattern_narrow_the_choice() -> None:
    traffic.make_traffic(60)
    traffic.set_prices()
    narrow = traffic.start(replace(ALL, providers=("acme",), model_glob="lar*"))
    assert {line["name"] for line in narrow.figures["models"]} == {"acme:large"}
    early = traffic.start(replace(ALL, until=traffic.START + timedelta(minutes=5)))
    assert (
        0 < early.figures["chosen"] < narrow.figures["chosen"] + early.figures["chosen"]
    )
    everything = traffic.start()
    assert early.figures["chosen"] < everything.figures["chosen"]


def test_deltas_by_month_key_and_model_add_up() -> None:
    traffic.make_traffic(60)
    traffic.set_prices()
    found = traffic.start().figures
    for name in ("months", "keys", "models"):
        lines = found[name]
        assert sum(line["delta_nano_usd"] for line in lines) == found["delta_nano_usd"]
        assert sum(line["attempts"] for line in lines) == found["changed"]
    assert [line["name"] for line in found["months"]] == ["2026-01", "2026-02"]
    assert {line["name"] for line in found["keys"]} <= {"k0", "k1", "k2", ""}


def test_adjustments_name_the_price_they_were_made_with() -> None:
    traffic.make_traffic(20)
    traffic.set_prices()
    traffic.apply(traffic.start())
    versions = {
        row.price_version_id
        for row in CostAdjustment.objects.all()
        if row.price_version_id is not None
    }
    rows = PriceVersion.objects.filter(pk__in=versions)
    assert {row.key for row in rows} == {"large", "small"}
    assert OLD.spec is not None


def test_prices_that_change_after_the_count_do_not_change_what_is_applied() -> None:
    traffic.make_traffic(30)
    traffic.set_prices()
    run = traffic.start()
    traffic.set_prices(spec=replace_input(NEW, 99_000_000_000))
    assert traffic.apply(run).applied_nano_usd == run.figures["delta_nano_usd"]


def test_removed_provider_is_priced_by_its_name() -> None:
    traffic.make_traffic(30)
    traffic.set_prices()
    wanted = expected()
    providers.remove_provider(SYSTEM, Provider.objects.get(slug="other"))
    traffic.apply(traffic.start())
    assert traffic.shown_costs() == wanted


def test_each_step_is_audited() -> None:
    traffic.make_traffic(5)
    traffic.set_prices()
    traffic.undo(traffic.apply(traffic.start()))
    actions = AuditEvent.objects.filter(object_type="recalculationrun")
    assert list(actions.order_by("pk").values_list("action", flat=True)) == [
        "recalculation.count",
        "recalculation.apply",
        "recalculation.undo",
    ]


def test_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(UsageError, match="ends before") as refused:
        services.start(SYSTEM, replace(ALL, until=ALL.since))
    assert refused.value.field == "until"


def test_requests_of_one_moment_are_all_met() -> None:
    traffic.make_traffic(12, step_s=0)
    span = Span(ALL.since, ALL.until)
    first = next(choose.slices(span))
    middle = choose.cursor_of(first.asked[5])
    left = next(choose.slices(span, middle))
    assert left.asked == first.asked[6:]


def usage_of(row: dict[str, Any]) -> TokenUsage:
    names = set(TokenUsage.__struct_fields__)
    return TokenUsage(
        **{name: None if row[name] == "" else row[name] for name in names & {*row}}
    )


def replace_input(spec: PriceSpec, value: int) -> PriceSpec:
    return msgspec.structs.replace(spec, input=value)
