"""Set how long rows of a table are kept."""

from __future__ import annotations

from typing import Final

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.models import Setting
from usage.retention.owners import BY_TABLE
from usage.retention.selectors import PREFIX, days_of
from usage.services import UsageError

MOST_DAYS: Final = 36_500


@one_change
def set_days(actor: Actor, table: str, days: int | None) -> None:
    """Keep a table's rows for this many days; None = the default again.

    Errors:  UsageError for a table whose rows do not go by age, or too few days.
    """
    owner = BY_TABLE.get(table)
    if owner is None or owner.days is None:
        raise UsageError("Rows of this table do not go by age.", field="table")
    if days is not None and not owner.least <= days <= MOST_DAYS:
        raise UsageError(
            f"{table} is kept for {owner.least} to {MOST_DAYS:,} days.", field="days"
        )
    before = days_of()[table]
    row, _ = Setting.objects.get_or_create(key=PREFIX + table)
    row.value = days
    row.save(update_fields=["value"])
    version.bump(row)
    audit.record(
        actor, "retention.set", row, before={"days": before}, after={"days": days}
    )
