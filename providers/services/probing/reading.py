"""Read rounds of probes for screens, the admin API and the command line."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Sum, Value, When

from providers.models import ProbeResult, ProbeRun
from providers.services.probing.runs import counts

PAGE_SIZE: Final = 20
_MOST_RUNS: Final = 20
State = ProbeResult.State
_UNKNOWN_COST: Final = Q(state=State.OK, cost_nano_usd=None)
_COLUMNS: Final = (
    "run", "state", "status_code", "latency_ms", "cost_nano_usd", "error", "request_id",
    "model__model_id", "model__provider__slug", "model__provider__name",
)  # fmt: skip
# What needs a look comes first, what still waits last.
_ORDER: Final = (
    State.MISSING,
    State.UNPROVEN,
    State.OK,
    State.SKIPPED,
    State.WAITING,
)


def recent_runs(most: int = _MOST_RUNS) -> list[ProbeRun]:
    """Return the newest rounds with their job, their cost, and counts by state (n_ok).

    Cost:  one query.
    """
    tallies = {
        f"n_{state}": Count("results", filter=Q(results__state=state))
        for state in State.values
    }
    answered = Q(results__state=State.OK, results__cost_nano_usd=None)
    unknown = Count("results", filter=answered)
    rows = ProbeRun.objects.select_related("job__created_by").annotate(
        cost=Sum("results__cost_nano_usd"), unknown=unknown, **tallies
    )
    return list(rows.order_by("-pk")[:most])


def brief(run: ProbeRun) -> dict[str, Any]:
    """Say in plain values how a round of ``recent_runs`` stands; no query."""
    told = vars(run)
    return {
        "id": run.pk,
        "state": run.job.state if run.job is not None else "unknown",
        **{state: told[f"n_{state}"] for state in State.values},
        "cost_nano_usd": _cost(told["cost"], told["unknown"]),
        "created_at": run.created_at,
    }


def _cost(known: int | None, unknown: int) -> int | None:
    """Return the cost of a round; what nobody knows is not nothing."""
    return known if known or not unknown else None


def results_of(run: ProbeRun, state: str = "") -> QuerySet[ProbeResult]:
    """Return a round's results with model and provider, what needs a look first."""
    rows = run.results.select_related("model__provider").only(*_COLUMNS)
    if state in State.values:
        rows = rows.filter(state=state)
    place = Case(
        *(When(state=each, then=Value(n)) for n, each in enumerate(_ORDER)),
        default=Value(len(_ORDER)),
        output_field=IntegerField(),
    )
    return rows.annotate(place=place).order_by("place", "pk")


def run_facts(run: ProbeRun) -> dict[str, Any]:
    """Say how a round stands, in plain values; three queries at most."""
    job = run.job
    told = counts(run)
    total = sum(told.values())
    billed = run.results.aggregate(
        cost=Sum("cost_nano_usd"), unknown=Count("pk", filter=_UNKNOWN_COST)
    )
    return {
        "id": run.pk,
        "state": job.state if job is not None else "unknown",
        "message": job.message if job is not None else "",
        "total": total,
        "done": total - told[State.WAITING],
        **told,
        "cost_nano_usd": _cost(billed["cost"], billed["unknown"]),
        "cost_unknown": billed["unknown"],
        "concurrency": run.concurrency,
        "timeout_s": run.timeout_s,
        "disable_missing": run.disable_missing,
        "created_at": run.created_at,
        "finished_at": job.finished_at if job is not None else None,
    }


def result_table(run: ProbeRun) -> list[dict[str, Any]]:
    """List every result of a round; one query."""
    return [
        {
            "provider": row.model.provider.slug,
            "model": row.model.model_id,
            "result": row.state,
            "status": row.status_code,
            "latency_ms": row.latency_ms,
            "cost_nano_usd": row.cost_nano_usd,
            "note": row.error,
            "request_id": row.request_id,
        }
        for row in results_of(run)
    ]
