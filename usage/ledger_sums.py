"""Decide which rollup rows an attempt and a request are added to.

The input is ledger rows as column values, fresh ones of a batch or old ones of a
rebuild: one arithmetic, so a rebuilt rollup equals the one that grew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from usage import dimensions, rollups
from usage.dimensions import Pair
from usage.journal import records
from usage.models import Request
from usage.rollups import CubeKey, Deltas, Sums

_GOOD: Final = (records.OK, records.CLIENT_CLOSED)
_NOT_ERRORS: Final = (Request.Outcome.OK, Request.Outcome.CLIENT_CLOSED)
_TOKENS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
)

STRINGS: Final[tuple[Pair, ...]] = (
    *((dimensions.OUTCOME, outcome) for outcome in _GOOD),
    *((dimensions.PURPOSE, purpose) for purpose in sorted(rollups.SHOWN_PURPOSES)),
)
"""The strings whose numbers ``Meaning`` needs."""

Columns = Mapping[str, Any]


class Meaning(NamedTuple):
    """The numbers that decide what is an error and what dashboards show."""

    good_outcomes: frozenset[int]
    shown_purposes: frozenset[int]

    @classmethod
    def of(cls, numbers: Mapping[Pair, int]) -> Meaning:
        """Read them from the numbers of ``STRINGS``."""
        good = frozenset(numbers[(dimensions.OUTCOME, each)] for each in _GOOD)
        shown = frozenset(
            numbers[(dimensions.PURPOSE, each)] for each in rollups.SHOWN_PURPOSES
        )
        return cls(good, shown)


def add_attempt(deltas: Deltas, asked: Columns, row: Columns, meaning: Meaning) -> None:
    """Add one attempt; ``asked`` has the columns of the request it belongs to."""
    bucket = rollups.quarter(asked["at"])
    money = rollups.money_of(row)
    for kind, ref in request_refs(asked, meaning):
        sums = deltas.at(kind, ref, bucket)
        sums.attempts += 1
        sums.add_money(money)
    if asked["purpose_dim"] not in meaning.shown_purposes:
        return
    cube = cube_key(asked, row["provider_dim"], row["model_dim"])
    targets = [
        deltas.at(kind, ref, bucket)
        for kind, ref in attempt_refs(row["model_dim"], row)
    ]
    targets.append(deltas.cube_at(cube))
    is_error = row["outcome_dim"] not in meaning.good_outcomes
    is_unpriced = lacks_price(row, row["cost_nano_usd"])
    is_estimated = bool(row["estimated"])
    times = rollups.times_of(row)
    for sums in targets:
        sums.attempts += 1
        sums.errors += is_error
        sums.unpriced += is_unpriced
        sums.estimated += is_estimated
        sums.add_money(money)
        sums.add_times(times)


def lacks_price(row: Columns, cost: int | None) -> bool:
    """Tell an attempt that used tokens nobody could price."""
    return cost is None and any(row[name] is not None for name in _TOKENS)


def add_request(deltas: Deltas, row: Columns, meaning: Meaning) -> None:
    """Add one request, apart from the money: that comes with its attempts."""
    bucket = rollups.quarter(row["at"])
    is_shown = row["purpose_dim"] in meaning.shown_purposes
    targets = [deltas.at(kind, ref, bucket) for kind, ref in request_refs(row, meaning)]
    if is_shown:
        money = rollups.money_of(row)
        for kind, ref in (
            (rollups.STATUS, row["status"]),
            (rollups.OUTCOME, int(row["outcome"])),
        ):
            sums = deltas.at(kind, ref, bucket)
            sums.attempts += row["attempts"]
            sums.add_money(money)
            targets.append(sums)
    _add_end(targets, row)
    if not is_shown:
        return
    provider, model = row["provider_dim"] or 0, row["model_served_dim"] or 0
    deltas.cube_at(cube_key(row, provider, model)).requests += 1
    if row["provider_dim"] is not None:
        for kind, ref in attempt_refs(model, row):
            deltas.at(kind, ref, bucket).requests += 1


def _add_end(targets: Iterable[Sums], row: Columns) -> None:
    is_error = row["outcome"] not in _NOT_ERRORS
    is_unpriced, is_estimated = bool(row["unpriced"]), bool(row["estimated"])
    times = rollups.times_of(row)
    for sums in targets:
        sums.requests += 1
        sums.errors += is_error
        sums.unpriced += is_unpriced
        sums.estimated += is_estimated
        sums.add_times(times)


def request_refs(asked: Columns, meaning: Meaning) -> Iterable[tuple[str, int]]:
    """Yield the rows a request's own sums and its attempts' money go to."""
    if asked["purpose_dim"] is not None:
        yield rollups.PURPOSE, asked["purpose_dim"]
    if asked["purpose_dim"] not in meaning.shown_purposes:
        return
    yield rollups.TOTAL, 0
    for kind, column in (
        (rollups.MODEL_ASKED, "model_asked_dim"),
        (rollups.CLIENT_KEY, "client_key_id"),
        (rollups.TEAM, "team_id"),
        (rollups.AGENT, "agent_dim"),
        (rollups.SESSION, "session_dim"),
        (rollups.END_USER, "end_user_dim"),
    ):
        if asked[column] is not None:
            yield kind, asked[column]


def attempt_refs(model_dim: int, row: Columns) -> Iterable[tuple[str, int]]:
    """Yield the rows an attempt's own sums go to."""
    yield rollups.PROVIDER, row["provider_dim"]
    yield rollups.MODEL_SERVED, model_dim
    if row["credential_dim"] is not None:
        yield rollups.CREDENTIAL, row["credential_dim"]


def cube_key(asked: Columns, provider_dim: int, model_dim: int) -> CubeKey:
    """Name the cube row of a provider and a model serving this request."""
    day = asked["at"].date()
    return CubeKey(day, provider_dim, model_dim, asked["client_key_id"] or 0)
