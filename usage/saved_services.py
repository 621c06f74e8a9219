"""Save, rename and delete views; have files written and removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import QueryDict
from django.utils import timezone

from poolsite import audit, jobs
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.ids import uuid7
from poolsite.job_handle import JobHandle
from usage import log_file, log_search
from usage.dashboards import export, question
from usage.saved import Export, SavedView
from usage.services import UsageError

EXPORT: Final = "usage.export"
KEPT: Final = timedelta(days=7)
LONGEST_S: Final = 3_600
_MOST_VIEWS: Final = 100
_MOST_EXPORTS: Final = 20
_LONGEST_NAME: Final = 80
_LONGEST_QUERY: Final = 2_000
_CHUNK: Final = 500
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_CLOCK: Final = SystemClock()

Writer = Callable[[QueryDict, ZoneInfo, datetime], Iterator[list[str]]]
"""Yields the head and the rows of an export, from the values of its address."""


def _usage(query: QueryDict, zone: ZoneInfo, now: datetime) -> Iterator[list[str]]:
    values = {name: str(text) for name, text in query.items()}
    return export.usage_rows(question.asked(values, now=now, zone=zone))


def _requests(query: QueryDict, zone: ZoneInfo, now: datetime) -> Iterator[list[str]]:
    pairs = [(name, str(text)) for name, all_ in query.lists() for text in all_]
    return log_file.rows(log_search.from_pairs(pairs), now=now, zone=zone)


WRITERS: Final[dict[str, Writer]] = {"usage": _usage, "requests": _requests}
"""What can be exported, by kind: the address of a screen decides the rows."""


# Views


@one_change
def save_view(
    actor: Actor, name: str, query: str, *, clock: Clock = _CLOCK
) -> SavedView:
    """Keep an address under a name; the same name again replaces it.

    Errors:  UsageError for a blank name, for one view too many, without a person.
    """
    if actor.user is None:
        raise UsageError("A view belongs to a person.")
    name = _named(name)
    mine = SavedView.objects.filter(user=actor.user)
    found = mine.filter(name=name).first()
    if found is None:
        if mine.count() >= _MOST_VIEWS:
            raise UsageError(f"At most {_MOST_VIEWS} views can be saved.")
        found = SavedView(user=actor.user, name=name, created_at=clock.now())
    found.query = cleaned(query, clock.now())
    found.save()
    audit.record(actor, "usage_view.save", found, after={"query": found.query})
    return found


@one_change
def rename_view(actor: Actor, view: SavedView, name: str) -> SavedView:
    """Give a view another name.

    Errors:  UsageError when the name is blank or taken.
    """
    name = _named(name)
    others = SavedView.objects.filter(user_id=view.user_id).exclude(pk=view.pk)
    if others.filter(name=name).exists():
        raise UsageError("Another view has this name.", field="name")
    before, view.name = view.name, name
    view.save(update_fields=["name"])
    audit.record(
        actor, "usage_view.rename", view, before={"name": before}, after={"name": name}
    )
    return view


@one_change
def delete_view(actor: Actor, view: SavedView) -> None:
    """Forget a view."""
    audit.record(actor, "usage_view.delete", view, before={"query": view.query})
    view.delete()


def cleaned(query: str, now: datetime) -> str:
    """Return an address with nothing in it but what the usage screen reads."""
    values = QueryDict(query.lstrip("?")[:_LONGEST_QUERY]).dict()
    texts = {name: str(text) for name, text in values.items()}
    zone = timezone.get_current_timezone()
    return question.asked(texts, now=now, zone=zone).address()[:_LONGEST_QUERY]


def _named(name: str) -> str:
    name = " ".join(name.replace("\x00", "").split())
    if not name:
        raise UsageError("A view needs a name.", field="name")
    if len(name) > _LONGEST_NAME:
        raise UsageError(f"At most {_LONGEST_NAME} characters.", field="name")
    return name


# Files


@one_change
def start_export(
    actor: Actor, kind: str, query: str, *, clock: Clock = _CLOCK
) -> Export:
    """Have a file written in the background.

    Shapes:  ``query`` is the address of the screen or what follows its question mark.
    Errors:  UsageError for a kind nobody writes, or too many files.
    """
    if kind not in WRITERS or actor.user is None:
        raise UsageError("Nothing writes such a file.")
    if Export.objects.filter(user=actor.user).count() >= _MOST_EXPORTS:
        raise UsageError(f"There are {_MOST_EXPORTS} files already: delete one.")
    now = clock.now()
    row = Export.objects.create(
        key=uuid7(clock),
        kind=kind,
        query=query.rpartition("?")[2][:_LONGEST_QUERY],
        time_zone=timezone.get_current_timezone_name(),
        user=actor.user,
        asked_at=now,
        expires_at=now + KEPT,
    )
    row.job = jobs.start(
        EXPORT, label=f"Export {kind}", user=actor.user, clock=clock, export_id=row.pk
    )
    row.save(update_fields=["job"])
    audit.record(actor, "usage_export.start", row, after={"kind": kind})
    return row


def write_export(handle: JobHandle, export_id: int) -> dict[str, Any]:
    """Write one file, row by row; an interrupted one begins anew.

    Fails:  a cancelled or failed job leaves no file.
    """
    row = Export.objects.filter(pk=export_id).first()
    if row is None:
        return {"rows": 0}
    zone = ZoneInfo(row.time_zone)
    path = path_of(row)
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    count = 0
    try:
        opened = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE)
        with open(opened, "w", encoding="utf-8", newline="") as file:
            rows = WRITERS[row.kind](QueryDict(row.query), zone, row.asked_at)
            head = next(rows)
            for text in export.written(head, _counted(rows, handle)):
                file.write(text)
            count = handle.done
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    size = path.stat().st_size
    changed = Export.objects.filter(pk=row.pk).update(
        rows=count, size_bytes=size, finished_at=handle.clock.now()
    )
    if not changed:
        path.unlink(missing_ok=True)
    return {"rows": count, "size_bytes": size}


def _counted(rows: Iterator[list[str]], handle: JobHandle) -> Iterator[list[str]]:
    number = 0
    for number, row in enumerate(rows, start=1):
        yield row
        if number % _CHUNK == 0:
            handle.step(number, message="Writing")
    handle.step(number, message="Written")


@one_change
def delete_export(actor: Actor, row: Export) -> None:
    """Remove a file and its row; a job that still writes it is asked to stop."""
    if row.job is not None and not row.is_ready:
        jobs.cancel(row.job)
    audit.record(actor, "usage_export.delete", row, before={"kind": row.kind})
    path = path_of(row)
    row.delete()
    path.unlink(missing_ok=True)


def remove_expired(now: datetime) -> int:
    """Remove files older than a week; return how many."""
    rows = list(Export.objects.filter(expires_at__lte=now)[:_CHUNK])
    for row in rows:
        path_of(row).unlink(missing_ok=True)
    Export.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def path_of(row: Export) -> Path:
    """Return where a file lies: named by its key, never by what people typed."""
    return Path(settings.DATA_DIR) / "exports" / f"{row.key}.csv"
