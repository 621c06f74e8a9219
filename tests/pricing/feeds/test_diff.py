"""Merging an answer: nothing is lost, jumps wait, decisions are remembered."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from pricing.cost import PriceSpec
from pricing.feeds import diff
from pricing.feeds.diff import Merged, MergeError, is_jump
from pricing.feeds.packed import Kept, key_of, pack, unpack
from pricing.listing import ListedModel, ListedProvider, Listing
from tests.pricing.feeds.conftest import USD, embedded, listed

NOTHING = embedded()
NO_DECISIONS: Mapping[str, str] = {}


def stated(*models: ListedModel, date: str = "2026-01-02") -> Listing:
    by_id = {model.id: model for model in models}
    return Listing(
        "models.dev", "u", date, {"acme": ListedProvider("acme", models=by_id)}
    )


def merge(
    known: Kept | None,
    *models: ListedModel,
    shipped: Listing = NOTHING,
    decisions: Mapping[str, str] = NO_DECISIONS,
) -> Merged:
    return diff.merge(known, stated(*models), embedded=shipped, decisions=decisions)


def kept(*models: ListedModel) -> Kept:
    return Kept(stated(*models, date="2026-01-01"))


def price(merged: Merged, model: str = "m") -> PriceSpec | None:
    return merged.kept.listing.providers["acme"].models[model].price


def test_model_that_vanished_stays_with_its_facts() -> None:
    old = listed("gone", 1, 2, context_window=8_000)
    merged = merge(kept(old, listed("m", 1, 2)), listed("m", 1, 2))
    assert merged.kept.listing.providers["acme"].models["gone"] == old
    assert merged.counts == {"gone": 1}
    again = merge(merged.kept, listed("m", 1, 2))
    assert again.counts == {}
    assert again.kept == merged.kept


def test_provider_that_vanished_stays() -> None:
    known = kept(listed("m", 1, 2))
    empty = Listing("models.dev", "u", "2026-01-02", {})
    merged = diff.merge(known, empty, embedded=NOTHING, decisions={})
    assert merged.kept.listing.providers == known.listing.providers
    assert merged.counts == {"gone": 1}


def test_facts_no_longer_stated_stay() -> None:
    known = kept(listed("m", 1, 2, context_window=8_000, family="f", inputs=("text",)))
    merged = merge(known, ListedModel("m"))
    assert merged.kept.listing.providers == known.listing.providers
    assert not merged.lines


def test_change_is_one_line_a_column_with_both_values() -> None:
    known = kept(listed("m", 1, 2, max_output=10))
    merged = merge(known, listed("m", 3, 2, max_output=20))
    said = [(line.column, line.before, line.after) for line in merged.lines]
    assert said == [("max_output", 10, 20), ("input", USD, 3 * USD)] or said == [
        ("input", USD, 3 * USD),
        ("max_output", 10, 20),
    ]
    assert merged.counts == {"changed": 2}
    assert price(merged) == PriceSpec(input=3 * USD, output=2 * USD)


@pytest.mark.parametrize(
    ("before", "after", "jumps"),
    [
        (USD, 10 * USD, False),
        (USD, 10 * USD + 1, True),
        (10 * USD, USD, False),
        (10 * USD + 1, USD, True),
        (0, USD, True),
        (USD, 0, True),
        (0, 0, False),
        (None, USD, False),
        (USD, None, False),
        (None, 0, False),
    ],
)
def test_what_a_jump_is(before: int | None, after: int | None, jumps: bool) -> None:
    assert is_jump("input", before, after) is jumps


def test_threshold_of_long_prompts_is_no_price() -> None:
    assert not is_jump("long_threshold", 8_000, 1_000_000)


def test_jump_waits_while_the_rest_of_the_price_moves() -> None:
    merged = merge(kept(listed("m", 1, 2)), listed("m", 11, 3))
    assert price(merged) == PriceSpec(input=USD, output=3 * USD)
    [line] = merged.held
    assert (line.column, line.before, line.after) == ("input", USD, 11 * USD)


def test_same_jump_stays_held_until_somebody_decides() -> None:
    first = merge(kept(listed("m", 1, 2)), listed("m", 11, 3))
    second = merge(first.kept, listed("m", 11, 3))
    assert second.held == first.held
    assert second.kept == first.kept
    assert not second.lines


def test_declined_value_is_not_asked_again_but_another_is() -> None:
    first = merge(kept(listed("m", 1, 2)), listed("m", 11, 2))
    said = {first.held[0].key: diff.DECLINED}
    second = merge(first.kept, listed("m", 11, 2), decisions=said)
    assert not second.held
    assert price(second) == PriceSpec(input=USD, output=2 * USD)
    assert second.decisions == said
    third = merge(second.kept, listed("m", 12, 2), decisions=said)
    assert [line.after for line in third.held] == [12 * USD]
    assert third.decisions == {}


def test_accepted_value_is_in_force_at_once_and_stays() -> None:
    first = merge(kept(listed("m", 1, 2)), listed("m", 11, 2))
    accepted = diff.decide(first.kept, first.held[0], date="2026-01-03")
    again = merge(accepted, listed("m", 11, 2))
    assert not again.held
    assert price(again) == PriceSpec(input=11 * USD, output=2 * USD)
    assert again.kept == accepted


def test_jump_that_goes_away_waits_no_more() -> None:
    first = merge(kept(listed("m", 1, 2)), listed("m", 11, 2))
    assert not merge(first.kept, listed("m", 1, 2)).held


def test_price_dropped_by_the_source_stays_last_known() -> None:
    merged = merge(kept(listed("m", 1, 2)), ListedModel("m", context_window=9))
    assert price(merged) == PriceSpec(input=USD, output=2 * USD)


def test_tier_dropped_by_the_source_goes_with_its_price() -> None:
    tiered = PriceSpec(
        input=USD, output=USD, long_threshold=200_000, long_input=2 * USD
    )
    plain = PriceSpec(input=USD, output=USD)
    merged = merge(kept(ListedModel("m", price=tiered)), ListedModel("m", price=plain))
    assert price(merged) == plain


def test_first_answer_is_compared_with_what_was_shipped() -> None:
    merged = merge(None, listed("m", 30, 2), shipped=embedded(listed("m", 1, 2)))
    assert price(merged) == PriceSpec(input=USD, output=2 * USD)
    assert [line.column for line in merged.held] == ["input"]
    assert merge(None, listed("m", 30, 2)).held == []


SETTLED = listed("m", 5, 5, origin="overlay")


def test_settled_price_is_neither_held_nor_undone_by_what_a_source_said_first() -> None:
    shipped = embedded(SETTLED)
    first = merge(None, listed("m", 100, 2), shipped=shipped)
    assert not first.held
    assert not first.lines
    again = merge(first.kept, listed("m", 100, 2), shipped=shipped)
    assert not again.held
    assert again.kept == first.kept
    assert key_of("acme", "m") not in again.kept.since


def test_price_shipped_from_the_same_source_is_not_settled_against_it() -> None:
    same = embedded(listed("m", 5, 5, origin="models.dev"))
    merged = merge(None, listed("m", 6, 5), shipped=same)
    assert [(line.before, line.after) for line in merged.lines] == [(5 * USD, 6 * USD)]
    assert price(merged) == PriceSpec(input=6 * USD, output=5 * USD)


def test_own_list_of_a_vendor_is_never_overruled() -> None:
    by_id = {"m": listed("m", 6, 5)}
    own = Listing(
        "acme", "u", "2026-01-02", {"acme": ListedProvider("acme", models=by_id)}
    )
    merged = diff.merge(None, own, embedded=embedded(SETTLED), decisions={})
    assert [line.after for line in merged.lines] == [6 * USD]


def test_silence_about_a_column_shipped_from_elsewhere_is_no_news() -> None:
    both = PriceSpec(input=USD, output=2 * USD, cache_read=5)
    shipped = embedded(ListedModel("m", price=both, origin="models.dev"))
    assert not merge(None, listed("m", 1, 2), shipped=shipped).lines


def test_source_that_says_something_new_is_compared_with_the_settled_price() -> None:
    shipped = embedded(SETTLED)
    first = merge(None, listed("m", 100, 2), shipped=shipped)
    second = merge(first.kept, listed("m", 6, 5), shipped=shipped)
    [line] = second.lines
    assert (line.before, line.after) == (5 * USD, 6 * USD)
    assert second.kept.since == {key_of("acme", "m"): "2026-01-02"}


@pytest.mark.parametrize(
    "name",
    ["", "a\nb", "a\x00", "‮x", "x" * 201],
    ids=["blank", "line end", "control", "rtl", "long"],
)
def test_name_that_cannot_be_shown_is_left_out(name: str) -> None:
    model = listed("x", 1, 2)
    odd = msgspec.structs.replace(model, id=name)
    providers = {
        "acme": ListedProvider("acme", models={name: odd, "x": model}),
        name: ListedProvider(name, models={"x": model}),
    }
    listing = Listing("models.dev", "u", "2026-01-02", providers)
    merged = diff.merge(None, listing, embedded=NOTHING, decisions={})
    assert merged.kept.listing.providers.keys() == {"acme"}
    assert merged.kept.listing.providers["acme"].models.keys() == {"x"}


def test_lines_are_bounded_and_counts_exact() -> None:
    models = [listed(f"m-{number}", 1, 2) for number in range(5_000)]
    merged = merge(None, *models)
    assert len(merged.lines) == diff.MOST_LINES
    assert merged.counts == {"new": 5_000}


def test_change_of_unit_is_refused_whole() -> None:
    models = [listed(f"m-{number}", 1, 2) for number in range(1_500)]
    known = kept(*models)
    dearer = [listed(model.id, 1_000, 2_000) for model in models]
    with pytest.raises(MergeError, match="no change of prices"):
        merge(known, *dearer)


def test_more_models_than_are_kept_are_refused() -> None:
    known = kept(*[listed(f"a-{number}", 1, 2) for number in range(25_000)])
    more = [listed(f"b-{number}", 1, 2) for number in range(25_000)]
    with pytest.raises(MergeError, match="40,000"):
        merge(known, *more)


def test_nothing_is_lost_by_packing() -> None:
    known = Kept(
        stated(listed("m", 1, 2, inputs=("text",), deprecated=True)),
        since={key_of("acme", "m"): "2026-01-01"},
        gone={key_of("acme", "x"): "2026-01-01"},
    )
    assert unpack(pack(known)) == known
    assert pack(unpack(pack(known))) == pack(known)
