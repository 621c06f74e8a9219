"""The three jobs of a recalculation: count, apply, undo.

Each may be interrupted at any moment. A count starts over; what writes goes on from
the place its last part reached.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, Final

from django.db.models import F

from poolsite.job_handle import JobCancelledError, JobHandle
from poolsite.models import Job
from pricing.selectors import versions
from usage import bulk, dimensions
from usage.models import Dimension, RecalculationRun
from usage.recalculation import choose, post
from usage.recalculation.choose import Key, Row, Slice, Span
from usage.recalculation.found import Found
from usage.recalculation.post import Change, Writer
from usage.recalculation.price import CHANGED, OUT, Pair, Price, Rules, look
from usage.selectors import strings

REPORTED: Final = "provider"
"""The price source of a cost that the provider stated itself."""

LONGEST_S: Final = 3_600
State = RecalculationRun.State
Named = tuple[str, str]
"""A provider's id and a model's, as the provider calls it."""
Lookup = Callable[[Sequence[Named]], Sequence[Price]]
"""Finds the prices in force now; the floor above knows the providers."""


@contextmanager
def rare_collection() -> Iterator[None]:
    """Look for circles of garbage rarely: rows make none, and looking costs a fifth."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@rare_collection()
def count(handle: JobHandle, run_id: int, lookup: Lookup) -> dict[str, Any]:
    """Find out what a run would change, and keep the prices it was found with.

    Errors:  JobCancelledError; the run is dropped then.
    Cost:    about 10 us an attempt.
    """
    run = _mine(handle, run_id, State.COUNTING)
    try:
        found, rules = _count(handle, run, lookup)
    except JobCancelledError:
        _leave(handle, run, State.DROPPED)
        raise
    now = handle.clock.now()
    result = found.as_json()
    _leave(
        handle,
        run,
        State.READY,
        found=result,
        counted_at=now,
        prices=[
            [*pair, price.version_id]
            for pair, price in sorted(rules.prices.items(), key=lambda item: item[0])
        ],
    )
    return {"changed": result["changed"], "delta_nano_usd": result["delta_nano_usd"]}


@rare_collection()
def apply(handle: JobHandle, run_id: int) -> dict[str, Any]:
    """Write what the count found, from where the run stands.

    Errors:  JobCancelledError; what was written stays and may be undone.
    Cost:    about 25 us an attempt; transactions of less than 500 rows.
    """
    run = _mine(handle, run_id, State.APPLYING)
    try:
        _apply(handle, run)
    except JobCancelledError:
        _leave(handle, run, State.STOPPED)
        raise
    _leave(handle, run, State.APPLIED)
    run.refresh_from_db(fields=["applied", "applied_nano_usd"])
    return {"changed": run.applied, "delta_nano_usd": run.applied_nano_usd}


@rare_collection()
def undo(handle: JobHandle, run_id: int) -> dict[str, Any]:
    """Take back what a run wrote, each correction once.

    Errors:  JobCancelledError; the rest can be taken back later.
    Cost:    as ``apply``.
    """
    run = _mine(handle, run_id, State.UNDOING)
    try:
        _undo(handle, run)
    except JobCancelledError:
        _leave(handle, run, State.HALF_UNDONE)
        raise
    _leave(handle, run, State.UNDONE)
    run.refresh_from_db(fields=["undone", "undone_nano_usd"])
    return {"changed": run.undone, "delta_nano_usd": run.undone_nano_usd}


def _mine(handle: JobHandle, run_id: int, state: str) -> RecalculationRun:
    """Return the run as long as this job is the one it waits for.

    Errors:  JobCancelledError for a run that somebody else moved on.
    """
    run = RecalculationRun.objects.filter(
        pk=run_id, state=state, job_id=handle.id
    ).first()
    if run is None:
        raise JobCancelledError
    return run


def _leave(handle: JobHandle, run: RecalculationRun, state: str, **values: Any) -> None:
    """Free the run for what comes next, unless another worker took it over."""
    if state in (State.DROPPED, State.STOPPED, State.HALF_UNDONE) and not (
        Job.objects.filter(pk=handle.id, cancel_requested=True).exists()
    ):
        return
    RecalculationRun.objects.filter(
        pk=run.pk, state=run.state, job_id=handle.id
    ).update(state=state, is_busy=False, changed_at=handle.clock.now(), **values)


# Counting


class _Prices:
    """The prices of the pairs that turn up, asked for as they do."""

    def __init__(self, run: RecalculationRun, lookup: Lookup, rules: Rules) -> None:
        self._run = run
        self._lookup = lookup
        self._rules = rules
        self._seen: set[Pair] = set()

    def learn(self, part: Slice) -> None:
        """Find the prices of pairs that were not met before."""
        met = {
            (row[choose.PROVIDER], row[choose.MODEL])
            for rows in part.tried.values()
            for row in rows
        }
        new = sorted(met - self._seen)
        if not new:
            return
        self._seen.update(new)
        words = strings(number for pair in new for number in pair)
        named = [(pair, (words[pair[0]], words[pair[1]])) for pair in new]
        chosen = [(pair, name) for pair, name in named if self._is_chosen(*name)]
        prices = self._lookup([name for _, name in chosen])
        for (pair, _), price in zip(chosen, prices, strict=True):
            self._rules.prices[pair] = price

    def _is_chosen(self, provider: str, model: str) -> bool:
        wanted, glob = self._run.providers, self._run.model_glob
        return (not wanted or provider in wanted) and (
            not glob or fnmatchcase(model, glob)
        )


def _count(
    handle: JobHandle, run: RecalculationRun, lookup: Lookup
) -> tuple[Found, Rules]:
    span = Span(run.since, run.until)
    total = choose.count_requests(span)
    handle.step(0, total, "Counting")
    found, rules, done = Found(), _rules(run), 0
    prices = _Prices(run, lookup, rules)
    for part in choose.slices(span):
        handle.check()
        prices.learn(part)
        for asked in part.asked:
            for row in part.tried.get(asked[choose.ID], ()):
                seen = look(row, part.corrections.get(row[choose.ATTEMPT]), rules)
                if seen[0] is not OUT:
                    found.add(asked, row, seen)
        done += len(part.asked)
        handle.step(done, total, "Counting")
    return found, rules


def _rules(run: RecalculationRun) -> Rules:
    number = (
        Dimension.objects.filter(kind=dimensions.PRICE_SOURCE, value=REPORTED)
        .values_list("pk", flat=True)
        .first()
    )
    return Rules(
        only_unpriced=run.only_unpriced,
        with_reported=run.with_reported,
        reported_dim=number,
    )


# Applying


def _apply(handle: JobHandle, run: RecalculationRun) -> None:
    span, after = Span(run.since, run.until), None
    if run.cursor_at is not None and run.cursor_id is not None:
        after = (bulk.moment(run.cursor_at), bulk.key(run.cursor_id))
    rules = _kept_rules(run)
    writer, done = Writer(handle, run), 0
    writer.recover()
    total = choose.count_requests(span, after)
    handle.step(0, total, "Writing corrections")
    was: Key = run.cursor_id
    try:
        for slice_ in choose.slices(span, after):
            handle.check()
            for asked in slice_.asked:
                rows = slice_.tried.get(asked[choose.ID], [])
                changes = _changes(rows, slice_, rules)
                if changes:
                    writer.add(asked, rows, slice_.corrections, changes)
                if writer.is_full:
                    was = _write(writer, was, asked)
            if writer.count:
                was = _write(writer, was, slice_.asked[-1])
            done += len(slice_.asked)
            handle.step(done, total, "Writing corrections")
    except JobCancelledError:
        writer.roll_on_the_way_out()
        raise
    writer.roll()


def _write(writer: Writer, was: Key, last: Row) -> Key:
    """Write what waits, up to this request; return the new place."""
    at, reached = choose.cursor_of(last)
    writer.write(
        was={"cursor_id": was},
        reached={
            "cursor_at": bulk.moment_from(at),
            "cursor_id": reached,
            "applied": F("applied") + writer.count,
            "applied_nano_usd": F("applied_nano_usd") + writer.sum_nano_usd,
        },
    )
    return reached


def _kept_rules(run: RecalculationRun) -> Rules:
    """Return the rules with the prices the run was counted with."""
    rules = _rules(run)
    kept = [((provider, model), version) for provider, model, version in run.prices]
    specs = versions({version for _, version in kept if version is not None})
    for pair, version in kept:
        spec = specs[version][1] if version in specs else None
        rules.prices[pair] = Price(spec, version)
    return rules


def _changes(rows: list[Row], slice_: Slice, rules: Rules) -> dict[Key, Change]:
    found: dict[Key, Change] = {}
    for row in rows:
        key = row[choose.ATTEMPT]
        verdict, before, after, version_id = look(
            row, slice_.corrections.get(key), rules
        )
        if verdict is CHANGED:
            found[key] = Change((after or 0) - (before or 0), version_id)
    return found


# Undoing


def _undo(handle: JobHandle, run: RecalculationRun) -> None:
    writer, reached, done = Writer(handle, run), run.undone_to, run.undone
    writer.recover()
    handle.step(done, run.applied, "Taking corrections back")
    try:
        while rows := _written(run, reached):
            handle.check()
            for asked, tried, known, changes in post.requests_of(rows):
                opposite = {
                    key: Change(-change[0], change[1], is_undo=True)
                    for key, change in changes.items()
                }
                writer.add(asked, tried, known, opposite)
            done += len(rows)
            was, reached = reached, rows[-1][0]
            writer.write(
                was={"undone_to": was},
                reached={
                    "undone_to": reached,
                    "undone": F("undone") + writer.count,
                    "undone_nano_usd": F("undone_nano_usd") + writer.sum_nano_usd,
                },
            )
            handle.step(done, run.applied, "Taking corrections back")
    except JobCancelledError:
        writer.roll_on_the_way_out()
        raise
    writer.roll()


def _written(run: RecalculationRun, after: int) -> list[Row]:
    """Return the run's next corrections; its undos have higher numbers than all."""
    rows = choose.written(bulk.key(run.key), after, limit=post.FULL)
    return [row for row in rows if not row[-1]]
