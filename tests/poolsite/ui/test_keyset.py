"""Pages follow keys, so nothing is skipped or shown twice while rows arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import BadRequest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from poolsite.models import Tombstone
from poolsite.ui.keyset import Page, paginate

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 20, tzinfo=UTC)


def fill(count: int, same: int = 3) -> None:
    """Rows of which ``same`` neighbours share their moment."""
    Tombstone.objects.bulk_create(
        Tombstone(
            kind="k", key=str(n), version=n, at=START + timedelta(hours=n // same)
        )
        for n in range(count)
    )


def keys(page: Page) -> list[int]:
    return [row.version for row in page.rows]


def walk(size: int = 4) -> list[list[int]]:
    pages, cursor = [], ""
    while True:
        page = paginate(Tombstone.objects.all(), cursor, size=size)
        pages.append(keys(page))
        if not page.older:
            return pages
        cursor = page.older


def test_walking_down_shows_every_row_once() -> None:
    fill(23)
    seen = [key for page in walk() for key in page]
    assert seen == list(range(22, -1, -1))


def test_walking_up_gives_the_same_pages() -> None:
    fill(12)
    first = paginate(Tombstone.objects.all(), size=4)
    second = paginate(Tombstone.objects.all(), first.older, size=4)
    back = paginate(Tombstone.objects.all(), second.newer, size=4)
    assert keys(back) == keys(first)
    assert back.newer == ""


def test_rows_that_arrive_do_not_shift_the_reader() -> None:
    fill(8)
    first = paginate(Tombstone.objects.all(), size=4)
    Tombstone.objects.create(kind="k", key="new", version=99, at=START + timedelta(9))
    second = paginate(Tombstone.objects.all(), first.older, size=4)
    assert keys(second) == [3, 2, 1, 0]


def test_a_page_costs_one_query() -> None:
    fill(9)
    cursor = paginate(Tombstone.objects.all(), size=4).older
    with CaptureQueriesContext(
        connection,
    ) as queries:
        paginate(Tombstone.objects.all(), cursor, size=4)
    assert len(queries) == 1


def test_one_field_is_enough_for_a_key() -> None:
    fill(5)
    page = paginate(Tombstone.objects.all(), key=("id",), size=2)
    older = paginate(Tombstone.objects.all(), page.older, key=("id",), size=2)
    assert keys(older) == [2, 1]


def test_rows_may_be_dicts() -> None:
    fill(5)
    rows = Tombstone.objects.values("id", "at", "version")
    page = paginate(rows, size=2)
    older = paginate(rows, page.older, size=2)
    assert [row["version"] for row in older.rows] == [2, 1]


def test_an_empty_table_has_no_links() -> None:
    page = paginate(Tombstone.objects.all())
    assert not page.has_other


@pytest.mark.parametrize(
    "cursor",
    ["x", "%%%", "W10", "WyJvIl0", "WyJ6IiwiMjAyNiIsIjEiXQ", "A" * 400, "bnVsbA"],
)
def test_a_damaged_cursor_is_a_bad_request(cursor: str) -> None:
    with pytest.raises(BadRequest):
        paginate(Tombstone.objects.all(), cursor)
