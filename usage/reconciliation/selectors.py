"""Read statements and what their comparison found."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from django.db.models import QuerySet

from poolsite.money import usd_from_nano
from usage import dimensions
from usage.models import Dimension, StatementComparison, VendorStatement
from usage.reconciliation import shapes
from usage.reconciliation.compare import CAUSES
from usage.reconciliation.services import State, is_busy, state_left

LIMIT: Final = 50
MOST_NAMED: Final = 200
_MOST_PROVIDERS: Final = 500
_HUNDRED: Final = Decimal(100)
_TOLD: Final = frozenset({"input", "output"})
_TEXT_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def statements() -> QuerySet[VendorStatement]:
    """Return statements with their people and jobs."""
    return VendorStatement.objects.select_related("job", "created_by")


def latest(count: int = LIMIT) -> list[dict[str, Any]]:
    """Return the newest statements in short; one query."""
    return [summary(row) for row in statements().order_by("-pk")[:count]]


def providers() -> list[str]:
    """Return the ids of the providers the ledger knows; one query."""
    rows = Dimension.objects.filter(kind=dimensions.PROVIDER).order_by("value")
    return list(rows.values_list("value", flat=True)[:_MOST_PROVIDERS])


def summary(row: VendorStatement) -> dict[str, Any]:
    """Return what a line of a list says.

    Units:  nano-USD; percent as text. None = not known, or not on the statement.
    """
    found = row.found or {}
    billed, known = found.get("billed_nano_usd"), found.get("known_nano_usd")
    job = row.job
    return {
        "id": row.pk,
        "title": f"Statement {row.pk}",
        "provider": row.provider,
        "shape": row.shape,
        "label": shapes.LABELS.get(row.shape, row.shape),
        "file_name": row.file_name,
        "first_day": row.first_day,
        "last_day": row.last_day,
        "time_zone": row.time_zone,
        "currency": row.currency,
        "usd_per_unit": row.usd_per_unit or None,
        "rows": row.rows,
        "repeats": row.repeats,
        "credits_nano_usd": row.credits_nano_usd,
        "threshold_percent": f"{Decimal(row.threshold_bp) / _HUNDRED:f}",
        "floor_nano_usd": row.floor_nano_usd,
        "state": state_left(row),
        "state_label": State(state_left(row)).label,
        "is_busy": is_busy(row),
        "by": row.created_by.email if row.created_by else "",
        "created_at": row.created_at,
        "compared_at": row.compared_at,
        "billed_nano_usd": billed,
        "known_nano_usd": known,
        "difference_nano_usd": _less(billed, known),
        "named": found.get("named"),
        "done": job.done if job else None,
        "total": job.total if job else None,
    }


def facts(row: VendorStatement) -> dict[str, Any]:
    """Return everything about one statement, its named differences included.

    Cost:  one query.
    """
    return {
        **summary(row),
        "found": row.found,
        "differences": [line(each) for each in named(row)],
    }


def named(row: VendorStatement) -> list[StatementComparison]:
    """Return the named differences, the dearest first; one query."""
    rows = StatementComparison.objects.filter(statement=row, is_named=True)
    return list(rows.order_by("-weight_nano_usd", "day", "model")[:MOST_NAMED])


def line(row: StatementComparison) -> dict[str, Any]:
    """Return one day and model on both sides.

    Units:  nano-USD and tokens; None = this side does not say.
    """
    billed, known = row.billed or {}, row.known or {}
    sides: dict[str, Any] = {}
    for name, column in (("cost", "nano_usd"), ("requests", "requests")):
        sides[f"billed_{column}"] = billed.get(name)
        sides[f"known_{column}"] = known.get(name)
    for part, names in (
        ("prompt", ("input", "cache_read", "cache_write")),
        ("output", ("output",)),
        ("all", ("input", "cache_read", "cache_write", "output")),
    ):
        sides[f"billed_{part}_tokens"] = _added(billed, names)
        sides[f"known_{part}_tokens"] = _added(known, names)
    if row.known and row.known["unpriced"] == row.known["requests"]:
        sides["known_nano_usd"] = None  # unpriced is not zero
    return {
        "day": row.day,
        "model": row.model,
        "ledger_models": row.ledger_models,
        "is_named": row.is_named,
        "cause": row.cause,
        "cause_label": CAUSES.get(row.cause, ""),
        "detail": row.detail,
        **sides,
        "difference_nano_usd": _gap(row),
        "unpriced": known.get("unpriced"),
        "estimated": known.get("estimated"),
    }


def cells(row: VendorStatement) -> Iterator[list[str]]:
    """Yield every compared line as cells of a CSV, the header first."""
    names = (
        *("day", "model", "is_named", "cause", "detail"),
        *("billed_usd", "known_usd", "difference_usd"),
        *("billed_requests", "known_requests"),
        *("billed_prompt_tokens", "known_prompt_tokens"),
        *("billed_output_tokens", "known_output_tokens"),
    )
    yield list(names)
    rows = StatementComparison.objects.filter(statement=row).order_by("day", "model")
    for each in rows.iterator(chunk_size=LIMIT * 10):
        values = line(each)
        for name in ("billed", "known", "difference"):
            values[f"{name}_usd"] = _usd(values[f"{name}_nano_usd"])
        values["is_named"] = "yes" if each.is_named else "no"
        yield [_safe(values[name]) for name in names]


def _gap(row: StatementComparison) -> int | None:
    if row.billed is not None and row.billed["cost"] is None:
        return None
    billed = row.billed["cost"] if row.billed else 0
    return int(billed - (row.known["cost"] if row.known else 0))


def _added(side: dict[str, Any], names: tuple[str, ...]) -> int | None:
    if any(side.get(name) is None for name in _TOLD.intersection(names)):
        return None
    return sum(side.get(name) or 0 for name in names)


def _less(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one - other


def _usd(nano: int | None) -> str:
    return "" if nano is None else f"{usd_from_nano(nano):.9f}"


def _safe(value: object) -> str:
    """Write a cell that a spreadsheet does not run; numbers stay numbers."""
    text = "" if value is None else str(value)
    if text.startswith(_TEXT_STARTS) and not _is_number(text):
        return f"'{text}"
    return text


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()
