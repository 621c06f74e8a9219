"""Take statements in, compare them again, and remove them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from poolsite import audit, jobs
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.models import Job
from usage import dimensions
from usage.models import (
    Dimension,
    StatementComparison,
    StatementLine,
    VendorStatement,
)
from usage.reconciliation.compare import Limits
from usage.reconciliation.read import Reading, Statement, Sum, nano, read
from usage.reconciliation.table import FILE, open_table
from usage.services import UsageError

_CLOCK: Final = SystemClock()
COMPARE: Final = "usage.reconciliation.compare"
CHUNK: Final = 400
MOST_DAYS: Final = 400
_MOST: Final = 2**62
_MOST_BASIS: Final = 10_000
_OVER: Final = (Job.State.DONE, Job.State.FAILED, Job.State.CANCELLED)
State = VendorStatement.State


@dataclass(frozen=True)
class Upload:
    """A vendor's file, whose it is and how it is to be read.

    Shapes:  ``provider`` is the id of a provider the ledger knows.
    """

    provider: str
    data: bytes
    file_name: str = ""
    how: Reading = field(default_factory=Reading)
    limits: Limits = field(default_factory=Limits)


def take_in(actor: Actor, upload: Upload, *, clock: Clock = _CLOCK) -> VendorStatement:
    """Read a file, keep its sums and begin to compare them; the file is not kept.

    Errors:  UsageError naming the field; nothing is kept then.
    Cost:    about 15 us a line of the file; writes in parts of 400 rows.
    """
    _check(upload)
    table = open_table(upload.data)
    found = read(table, upload.how)
    lines = [_line(*key, each) for key, each in sorted(found.sums.items())]
    statement = _create(actor, upload, found, clock)
    for start in range(0, len(lines), CHUNK):
        part = lines[start : start + CHUNK]
        for line in part:
            line.statement = statement
        with transaction.atomic():
            StatementLine.objects.bulk_create(part)
    return compare(actor, statement, clock=clock)


@one_change
def compare(
    actor: Actor, statement: VendorStatement, *, clock: Clock = _CLOCK
) -> VendorStatement:
    """Begin to compare a statement with the ledger as it stands now.

    Errors:  UsageError while it is being compared, or when it was not read whole.
    """
    statement = _locked(statement)
    if statement.state == State.COMPARING and is_busy(statement):
        raise UsageError("This statement is being compared.")
    lines = statement.statementline_set.all()
    if not lines.exists():
        raise UsageError("This statement was not read whole: remove it.")
    statement.state = State.COMPARING
    statement.job = jobs.start(
        COMPARE,
        label="Compare a statement",
        user=actor.user,
        clock=clock,
        statement_id=statement.pk,
    )
    statement.save(update_fields=["state", "job"])
    audit.record(actor, "statement.compare", statement)
    return statement


def remove(actor: Actor, statement: VendorStatement, *, clock: Clock = _CLOCK) -> None:
    """Remove a statement with its lines; the ledger is as it was.

    Errors:  UsageError while it is being compared.
    """
    _release(actor, statement)
    for rows in (
        StatementComparison.objects.filter(statement=statement),
        StatementLine.objects.filter(statement=statement),
    ):
        while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:CHUNK]):
            rows.filter(pk__in=ids).delete()
    VendorStatement.objects.filter(pk=statement.pk).delete()


def is_busy(statement: VendorStatement) -> bool:
    """Tell whether its comparison has not ended."""
    return (
        statement.state == State.COMPARING
        and statement.job is not None
        and statement.job.state not in _OVER
    )


def state_left(statement: VendorStatement) -> str:
    """Return the state, also of one whose job ended without saying so."""
    if statement.state == State.COMPARING and not is_busy(statement):
        return State.STOPPED
    return statement.state


@one_change
def _release(actor: Actor, statement: VendorStatement) -> None:
    statement = _locked(statement)
    if is_busy(statement):
        raise UsageError("This statement is being compared.")
    # A removal that is interrupted leaves what cannot be taken for a whole one.
    statement.state = State.READING
    statement.save(update_fields=["state"])
    audit.record(actor, "statement.delete", statement, before=_shown(statement))


@one_change
def _create(
    actor: Actor, upload: Upload, found: Statement, clock: Clock
) -> VendorStatement:
    digest = hashlib.sha256(upload.data).hexdigest()
    days = [day for day, _ in found.sums]
    same = VendorStatement.objects.filter(digest=digest, provider=upload.provider)
    other = same.exclude(state=State.READING).first()
    if other is not None:
        raise UsageError(f"This file is statement {other.pk} already.", field=FILE)
    if (max(days) - min(days)).days >= MOST_DAYS:
        raise UsageError(f"A statement spans at most {MOST_DAYS} days.", field=FILE)
    statement = VendorStatement.objects.create(
        provider=upload.provider,
        shape=found.shape,
        file_name=_plain(upload.file_name),
        digest=digest,
        time_zone=found.time_zone,
        first_day=min(days),
        last_day=max(days),
        currency=found.currency,
        usd_per_unit=found.usd_per_unit[:40],
        threshold_bp=upload.limits.basis,
        floor_nano_usd=upload.limits.floor,
        rows=found.rows,
        repeats=found.repeats,
        credits_nano_usd=_whole(nano(found.credits)) or 0,
        created_by=actor.user,
        created_at=clock.now(),
    )
    audit.record(actor, "statement.upload", statement, after=_shown(statement))
    return statement


def _check(upload: Upload) -> None:
    known = Dimension.objects.filter(
        kind=dimensions.PROVIDER, value=upload.provider[:255]
    )
    if not upload.provider or not known.exists():
        raise UsageError("The ledger knows no such provider.", field="provider")
    if not 0 <= upload.limits.basis <= _MOST_BASIS:
        raise UsageError("The threshold is 0 to 100 percent.", field="threshold")
    if not 0 <= upload.limits.floor <= _MOST:
        raise UsageError("The smallest difference is not negative.", field="floor")
    rate = upload.how.usd_per_unit
    if rate is not None and not (rate.is_finite() and 0 < rate < _MOST_BASIS):
        raise UsageError("The rate is an amount of USD.", field="rate")


def _line(day: Any, model: str, each: Sum) -> StatementLine:
    return StatementLine(
        day=day,
        model=model,
        cost_nano_usd=_whole(nano(each.cost)),
        input_tokens=_whole(each.input),
        cache_read_tokens=_whole(each.cache_read),
        cache_write_tokens=_whole(each.cache_write),
        output_tokens=_whole(each.output),
        requests=_whole(each.requests),
        repeats=each.repeats,
        repeated_nano_usd=_whole(nano(each.repeated)) or 0,
        repeated_tokens=_whole(each.repeated_tokens) or 0,
    )


def _whole(number: int | None) -> int | None:
    if number is not None and abs(number) > _MOST:
        raise UsageError("The file's numbers are too large.", field=FILE)
    return number


def _plain(name: str) -> str:
    return "".join(sign for sign in name if sign.isprintable())[-200:]


def _locked(statement: VendorStatement) -> VendorStatement:
    rows = VendorStatement.objects.select_for_update(of=("self",))
    found = rows.select_related("job").filter(pk=statement.pk).first()
    if found is None:
        raise UsageError("This statement was removed.")
    return found


def _shown(statement: VendorStatement) -> dict[str, object]:
    names = ("provider", "shape", "file_name", "first_day", "last_day", "rows")
    return {name: getattr(statement, name) for name in names}


def rate_of(text: str) -> Decimal | None:
    """Read a rate as a person writes it; None for none.

    Errors:  UsageError.
    """
    if not text.strip():
        return None
    try:
        return Decimal(text.strip()[:40])
    except ArithmeticError as exc:
        raise UsageError("The rate is an amount of USD.", field="rate") from exc
