"""Do the work of a round: ask what waits, write down each answer as it comes.

Rows are the truth: whatever ends this process, a round goes on with the results that
still wait. Answers are written a few at a time, in short transactions.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from poolsite import audit, version
from poolsite.actor import SYSTEM, Actor
from poolsite.change import one_change
from poolsite.job_handle import JobHandle, JobInterruptedError
from providers.models import ProbeResult, ProbeRun, ProviderModel
from providers.services.own_call import ProbeAnswer, Prober
from providers.services.probing import rules
from providers.services.probing.asking import Askers, Asks, Item
from providers.services.probing.runs import counts
from usage.models import Request

LONGEST_S: Final = 600
AWAY_S: Final = 4.0
_EVERY_S: Final = 0.4
_MOST_AT_ONCE: Final = 25
_RETRY_S: Final = 1.0
_LEDGER_WAIT_S: Final = 3.0
_LEDGER_ROWS: Final = 200
_CLOCK_SLACK: Final = timedelta(minutes=5)
_AWAY: Final = "The proxy does not answer; the rest is asked when it does."
_DRAINING: Final = "draining"
State = ProbeResult.State
Answered = list[tuple[Item, ProbeAnswer]]
MakeProber = Callable[[float], Asks]


def run_probes(
    handle: JobHandle, run_id: int, *, make_prober: MakeProber | None = None
) -> dict[str, int]:
    """Ask every model of a round that still waits; return the counts by state.

    Errors:  JobCancelledError within a second of the wish, JobInterruptedError when the
             proxy is stopping or away; what was found by then is written.
    """
    run = ProbeRun.objects.select_related("job__created_by").filter(pk=run_id).first()
    if run is None:
        return {}
    return _Round(handle, run).run(make_prober or _prober)


def _prober(timeout_s: float) -> Prober:
    return Prober(timeout_s=timeout_s)


class _Round:
    """One worker's share of a round."""

    def __init__(self, handle: JobHandle, run: ProbeRun) -> None:
        self._handle = handle
        self._run = run
        self._actor = _actor(run)
        self._items = _in_turn(run)
        self._left = len(self._items)
        self._counts = counts(run)
        self._total = sum(self._counts.values())
        self._unwritten: Answered = []
        self._later: list[tuple[float, Item]] = []
        self._away_since: float | None = None
        self._unbilled: dict[UUID, int] = {}
        self._begun = handle.clock.now()
        self._last_look = handle.clock.monotonic()
        self._pause = threading.Event()

    def run(self, make_prober: MakeProber) -> dict[str, int]:
        """Ask, write, look whether to stop; until nothing is left."""
        if not self._items:
            return self._counts
        threads = min(self._run.concurrency, len(self._items))
        askers = Askers(make_prober(self._run.timeout_s), threads)
        for item in self._items:
            askers.put(item)
        try:
            while self._left:
                found = askers.collect(wait_s=_EVERY_S, most=_MOST_AT_ONCE)
                self._take(askers, found)
                self._step()
        finally:
            askers.stop()
            self._keep(askers.collect(wait_s=0, most=_MOST_AT_ONCE))
        self._await_bills()
        return self._counts

    def _take(self, askers: Askers, found: Answered) -> None:
        """Write what came; what the pool itself could not serve is asked again.

        Errors:  JobInterruptedError.
        """
        now = self._handle.clock.monotonic()
        for item, answer in found:
            if not answer.is_pools_own:
                self._away_since = None
            else:
                self._away_since = self._away_since or now
                self._later.append((now + _RETRY_S, item))
        self._keep(found)
        is_stopping = any(answer.code == _DRAINING for _, answer in found)
        away_s = 0.0 if self._away_since is None else now - self._away_since
        # A pool that is being stopped must not wait for this worker too.
        if is_stopping or away_s > AWAY_S:
            raise JobInterruptedError(_AWAY)
        for due, item in [each for each in self._later if each[0] <= now]:
            self._later.remove((due, item))
            askers.put(item)

    def _keep(self, found: Answered) -> None:
        """Write the answers that say something."""
        self._unwritten += [each for each in found if not each[1].is_pools_own]
        if self._unwritten:
            self._write(self._unwritten)
            self._left -= len(self._unwritten)
            self._unwritten = []

    def _step(self) -> None:
        handle, told = self._handle, self._counts
        words = f"{told[State.OK]} ok, {told[State.MISSING]} missing, {told[State.UNPROVEN]} unproven"
        handle.step(self._total - self._left, self._total, words)
        handle.check()
        if handle.clock.monotonic() - self._last_look > _LEDGER_WAIT_S:
            self._last_look = handle.clock.monotonic()
            self._read_bills()

    def _write(self, found: Answered) -> None:
        """Store some answers, on the results and on the models, in one transaction."""
        for state, ids in _store(self._run, self._actor, found, self._handle).items():
            self._counts[state] += len(ids)
            self._counts[State.WAITING] -= len(ids)
        for item, answer in found:
            if answer.request_id:
                self._unbilled[UUID(answer.request_id)] = item.result_id

    def _await_bills(self) -> None:
        """Give the ledger a moment to show what the last answers cost."""
        end = self._handle.clock.monotonic() + _LEDGER_WAIT_S
        while self._unbilled and self._handle.clock.monotonic() < end:
            self._read_bills()
            if self._unbilled:
                self._handle.check()
                self._pause.wait(_EVERY_S)

    def _read_bills(self) -> None:
        """Copy from the ledger what answered probes cost; it alone knows."""
        wanted = list(self._unbilled)[:_LEDGER_ROWS]
        if not wanted:
            return
        costs = dict(
            Request.objects.filter(at__gte=self._begun - _CLOCK_SLACK, id__in=wanted)
            .order_by()
            .values_list("id", "cost_nano_usd")
        )
        rows = [
            ProbeResult(pk=self._unbilled.pop(key), cost_nano_usd=cost)
            for key, cost in costs.items()
        ]
        priced = [row for row in rows if row.cost_nano_usd is not None]
        ProbeResult.objects.bulk_update(priced, ["cost_nano_usd"], batch_size=100)


@one_change
def _store(
    run: ProbeRun, actor: Actor, found: Answered, handle: JobHandle
) -> dict[str, list[int]]:
    """Write answers; a result somebody wrote before stays. Return ids by state."""
    now = handle.clock.now()
    answers = {item.result_id: answer for item, answer in found}
    results = list(
        run.results.filter(pk__in=answers, state=State.WAITING).select_related(
            "model__provider"
        )
    )
    written: dict[str, list[int]] = defaultdict(list)
    for result in results:
        answer = answers[result.pk]
        verdict = rules.judge(answer)
        result.state, result.error = verdict
        result.status_code = answer.status
        result.latency_ms = answer.latency_ms
        result.request_id = answer.request_id[:64]
        result.at = now
        _put_on_model(result.model, verdict, answer, now)
        written[verdict.state].append(result.pk)
    fields = ["state", "error", "status_code", "latency_ms", "request_id", "at"]
    ProbeResult.objects.bulk_update(results, fields)
    models = [result.model for result in results]
    ProviderModel.objects.bulk_update(
        models, ["probe_ok", "probe_at", "probe_ms", "probe_note", "evidence"]
    )
    if run.disable_missing:
        gone = [each.model for each in results if each.state == State.MISSING]
        _switch_off(actor, [each for each in gone if _may_switch_off(each)])
    return written


def _put_on_model(
    model: ProviderModel, verdict: rules.Verdict, answer: ProbeAnswer, now: datetime
) -> None:
    """Note on a model what its last probe said; None = it said nothing."""
    seen = {State.OK: True, State.MISSING: False}
    model.probe_ok = seen.get(State(verdict.state))
    model.probe_at = now
    model.probe_ms = answer.latency_ms if answer.status is not None else None
    model.probe_note = verdict.note
    if verdict.state == State.OK:
        model.evidence = {**(model.evidence or {}), "chat": True}


def _may_switch_off(model: ProviderModel) -> bool:
    return (
        model.enabled
        and model.deleted_at is None
        and not rules.keeps_missing(model.provider)
    )


def _switch_off(actor: Actor, models: list[ProviderModel]) -> None:
    """Stop offering what its provider does not have."""
    if not models:
        return
    for model in models:
        model.enabled = False
    ProviderModel.objects.bulk_update(models, ["enabled"])
    version.bump(*models)
    for model in models:
        after: dict[str, Any] = {"enabled": False, "probe": model.probe_note}
        audit.record(
            actor, "model.disable", model, before={"enabled": True}, after=after
        )


def _in_turn(run: ProbeRun) -> list[Item]:
    """Return what waits, providers taking turns: none meets the whole load at once."""
    rows = (
        run.results.filter(state=State.WAITING)
        .order_by("pk")
        .values_list("pk", "model_id", "model__model_id", "model__provider_id")
    )
    turns: dict[int, int] = defaultdict(int)
    placed = []
    for result_id, model_row, model_id, provider_id in rows:
        turns[provider_id] += 1
        placed.append((turns[provider_id], Item(result_id, model_row, model_id)))
    placed.sort(key=lambda each: each[0])
    return [item for _, item in placed]


def _actor(run: ProbeRun) -> Actor:
    """Return who is behind what a round switches off: whoever started it."""
    person = run.job.created_by if run.job is not None else None
    if person is None:
        return SYSTEM
    return Actor(label=person.email, source="system", user=person)
