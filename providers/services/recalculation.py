"""Find the prices in force for what the ledger knows by name only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from poolsite import jobs
from poolsite.job_handle import JobHandle
from providers.models import Provider
from providers.snapshot.prices import PriceTable
from usage.models import RecalculationRun
from usage.recalculation import services, work
from usage.recalculation.price import Price
from usage.recalculation.work import Named


def prices_now() -> Callable[[Sequence[Named]], list[Price]]:
    """Return a look-up of the prices in force at this moment, for one count.

    A provider that was removed is priced by its name, as its traffic was.

    Cost:  two queries once; at most three for each call.
    """
    table = PriceTable.load()
    rows = list(Provider.objects.order_by("pk"))
    known = {row.slug: row for row in rows}
    known.update({row.slug: row for row in rows if row.deleted_at is None})

    def look(names: Sequence[Named]) -> list[Price]:
        wanted = [
            (known.get(slug) or Provider(slug=slug), model) for slug, model in names
        ]
        return [
            Price(each.spec, each.version_id if each.spec is not None else None)
            for each in table.match(wanted)
        ]

    return look


def count(handle: JobHandle, run_id: int) -> object:
    """Count a recalculation with the prices in force."""
    return work.count(handle, run_id, prices_now())


_WORK: Final[dict[str, Callable[..., object]]] = {
    services.COUNT: count,
    services.APPLY: work.apply,
    services.UNDO: work.undo,
}


def work_here(run: RecalculationRun) -> bool:
    """Do a run's waiting job in this process; return whether it was still waiting.

    For commands: they need no worker then.
    """
    if run.job is None:
        return False
    return jobs.run(run.job.pk, _WORK[run.job.task])
