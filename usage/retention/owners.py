"""Who removes the rows of every table, and when: one line a table, none without.

Tables are named, not imported: they belong to every floor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from usage import rollups

_YEAR: Final = 365


class Way(StrEnum):
    """How rows leave a table."""

    KEPT = "kept"
    WITH_OWNER = "with what owns them"
    OLD_ROWS = "old rows, in small parts"
    OLD_DAYS = "whole days"
    TOMBSTONES = "all but the newest"


@dataclass(frozen=True)
class Owner:
    """The rule of one table.

    Shapes:  ``days`` None = nothing goes by age, and ``why`` says what happens then.
             ``column`` is the time the age is counted from; rows without it stay.
             ``parts`` are filters that each use an index; ``spares`` is never removed.
             ``within`` names a table whose rows are never outlived.
    Units:   ``least`` is the fewest days that may be set.
    """

    table: str
    way: Way
    why: str
    days: int | None = None
    column: str = ""
    parts: tuple[dict[str, Any], ...] = ({},)
    spares: dict[str, Any] = field(default_factory=dict)
    least: int = 1
    within: str = ""


def _kept(why: str, *tables: str) -> list[Owner]:
    return [Owner(table, Way.KEPT, why) for table in tables]


def _with(why: str, *tables: str) -> list[Owner]:
    return [Owner(table, Way.WITH_OWNER, why) for table in tables]


def _old(table: str, days: int, column: str, why: str, **more: Any) -> Owner:
    return Owner(table, Way.OLD_ROWS, why, days, column, **more)


_KINDS: Final = (
    *(rollups.TOTAL, rollups.PROVIDER, rollups.MODEL_SERVED, rollups.MODEL_ASKED),
    *(rollups.CLIENT_KEY, rollups.TEAM, rollups.CREDENTIAL, rollups.AGENT),
    *(rollups.SESSION, rollups.END_USER, rollups.PURPOSE),
    *(rollups.STATUS, rollups.OUTCOME),
)
_BY_KIND: Final = tuple({"kind": kind} for kind in _KINDS)

OWNERS: Final = (
    # What was used
    Owner(
        "usage.Attempt",
        Way.OLD_DAYS,
        "one upstream call; its sums stay in the rollups",
        90,
        "at",
        least=7,
    ),
    Owner(
        "usage.Request",
        Way.OLD_DAYS,
        "one client call; its sums stay in the rollups",
        90,
        "at",
        least=7,
    ),
    _old(
        "usage.RequestBody",
        7,
        "at",
        "prompts and answers, where they are kept at all; never longer than their call",
        within="usage.Request",
    ),
    _old(
        "usage.Rollup15",
        396,
        "bucket",
        "quarters of an hour; days stay longer",
        parts=_BY_KIND,
        least=32,
    ),
    _old(
        "usage.RollupDay",
        5 * _YEAR + 2,
        "bucket",
        "days of each dimension",
        parts=_BY_KIND,
        least=_YEAR,
    ),
    _old(
        "usage.RollupCube",
        5 * _YEAR + 2,
        "bucket",
        "days of provider, model and key",
        least=_YEAR,
    ),
    _old(
        "usage.CostAdjustment",
        400,
        "created_at",
        "corrections; needed to take a recalculation back",
        least=90,
    ),
    _old(
        "usage.BudgetWindow",
        400,
        "updated_at",
        "windows long over; a budget in total has one for ever",
        spares={"budget__window": "total"},
        least=62,
    ),
    *_kept("strings the ledger refers to by number", "usage.Dimension"),
    *_kept("a run and its figures, a line each", "usage.RecalculationRun"),
    *_kept("until a person removes it", "usage.VendorStatement", "usage.SavedView"),
    *_with("its statement", "usage.StatementLine", "usage.StatementComparison"),
    *_with("its journal directory", "usage.JournalCursor", "usage.BudgetShare"),
    *_with("its own task, a week after it was made", "usage.Export"),
    *_kept("configuration", "usage.Team", "usage.ClientKey", "usage.Budget"),
    # Prices
    *_kept("bills refer to it", "pricing.PriceVersion"),
    *_kept("configuration", "pricing.CustomPrice", "pricing.Feed"),
    # Providers
    *_kept(
        "configuration",
        "providers.Provider",
        "providers.ApiKey",
        "providers.ProviderModel",
        "providers.Alias",
        "providers.AliasTarget",
        "providers.RoutingRevision",
        "oauth.Account",
    ),
    *_with("its provider", "providers.ModelList", "providers.AccountStatus"),
    _old("oauth.SignIn", 1, "expires_at", "sign-ins under way, once over"),
    _old("providers.Fact", 7, "expires_at", "what the data plane learnt, once over"),
    _old("providers.StatusChange", 90, "at", "changes of a provider's state"),
    _old("providers.ProbeResult", 90, "run__created_at", "one model of a round"),
    _old("providers.ProbeRun", 90, "created_at", "rounds of probes"),
    # The ground
    *_kept(
        "configuration",
        "poolsite.User",
        "poolsite.Setting",
        "poolsite.ApiToken",
        "poolsite.AlertChannel",
        "poolsite.Canary",
        "poolsite.EncryptionKey",
    ),
    *_kept("one row each", "poolsite.Node", "poolsite.ConfigVersion"),
    *_kept("one row a task", "poolsite.DueTask"),
    *_kept("a chain that must hold from its first link", "poolsite.AuditEvent"),
    Owner(
        "poolsite.Tombstone",
        Way.TOMBSTONES,
        "deletions every snapshot has seen",
        30,
        "at",
    ),
    _old("poolsite.OneTimeToken", 7, "expires_at", "tokens that open nothing any more"),
    _old("poolsite.Job", 30, "finished_at", "background work that ended", least=2),
    _old("poolsite.Alert", 90, "resolved_at", "alerts that are over"),
    _old("poolsite.AlertNews", 30, "last_at", "news nobody could be told"),
    _old("poolsite.AlertDelivery", 30, "created_at", "messages sent or given up"),
    _old("sessions.Session", 1, "expire_date", "sign-ins that ran out"),
    _old("usersessions.UserSession", 30, "last_seen_at", "where somebody signed in"),
)
"""In the order they are swept: what belongs to a row goes before it."""

BY_TABLE: Final = {owner.table: owner for owner in OWNERS}
