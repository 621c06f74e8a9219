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
    at = asked["at"]
    for kind, ref in _request_refs(asked, meaning):
        for sums in deltas.at(kind, ref, at):
            sums.attempts += 1
            _add_usage(sums, row)
    if asked["purpose_dim"] not in meaning.shown_purposes:
        return
    targets = [
        sums
        for kind, ref in _attempt_refs(row["model_dim"], row)
        for sums in deltas.at(kind, ref, at)
    ]
    targets.append(
        deltas.cube_at(_cube_key(asked, row["provider_dim"], row["model_dim"]))
    )
    is_unpriced = row["cost_nano_usd"] is None and any(
        row[name] is not None for name in _TOKENS
    )
    for sums in targets:
        sums.attempts += 1
        sums.errors += row["outcome_dim"] not in meaning.good_outcomes
        sums.unpriced += is_unpriced
        sums.estimated += bool(row["estimated"])
        _add_usage(sums, row)
        sums.add_times(row["latency_ms"], row["ttft_ms"])


def add_request(deltas: Deltas, row: Columns, meaning: Meaning) -> None:
    """Add one request, apart from the money: that comes with its attempts."""
    at = row["at"]
    for kind, ref in _request_refs(row, meaning):
        for sums in deltas.at(kind, ref, at):
            _add_end(sums, row)
    if row["purpose_dim"] not in meaning.shown_purposes:
        return
    for kind, ref in (
        (rollups.STATUS, row["status"]),
        (rollups.OUTCOME, int(row["outcome"])),
    ):
        for sums in deltas.at(kind, ref, at):
            _add_end(sums, row)
            sums.attempts += row["attempts"]
            _add_usage(sums, row)
    provider, model = row["provider_dim"] or 0, row["model_served_dim"] or 0
    deltas.cube_at(_cube_key(row, provider, model)).requests += 1
    if row["provider_dim"] is not None:
        for kind, ref in _attempt_refs(model, row):
            for sums in deltas.at(kind, ref, at):
                sums.requests += 1


def _request_refs(asked: Columns, meaning: Meaning) -> Iterable[tuple[str, int]]:
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


def _attempt_refs(model_dim: int, row: Columns) -> Iterable[tuple[str, int]]:
    yield rollups.PROVIDER, row["provider_dim"]
    yield rollups.MODEL_SERVED, model_dim
    if row["credential_dim"] is not None:
        yield rollups.CREDENTIAL, row["credential_dim"]


def _cube_key(asked: Columns, provider_dim: int, model_dim: int) -> CubeKey:
    day = asked["at"].date()
    return CubeKey(day, provider_dim, model_dim, asked["client_key_id"] or 0)


def _add_end(sums: Sums, row: Columns) -> None:
    sums.requests += 1
    sums.errors += row["outcome"] not in _NOT_ERRORS
    sums.unpriced += bool(row["unpriced"])
    sums.estimated += bool(row["estimated"])
    sums.add_times(row["latency_ms"], row["ttft_ms"])


def _add_usage(sums: Sums, row: Columns) -> None:
    for name in _TOKENS:
        value = row[name]
        if value:
            setattr(sums, name, getattr(sums, name) + value)
    sums.cost_nano_usd += row["cost_nano_usd"] or 0
