"""Sessions, saved views, exports and rebuilding: screens, roles and the admin API."""

from __future__ import annotations

import csv
import io
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from poolsite import jobs, tokens
from poolsite.actor import SYSTEM, person
from poolsite.models import AuditEvent, Job, User
from tests.factories import (
    call,
    failed_at,
    make_client_key,
    make_provider,
    ship,
    try_at,
)
from tests.queries import Asked
from usage import rebuild_services, saved_services
from usage.models import Export, RollupDay, SavedView

pytestmark = pytest.mark.django_db
HOSTILE = '"><script>alert(1)</script>\u202e=1+1'


@pytest.fixture
def spent() -> None:
    """A session of three calls, one of them answered by the second provider."""
    one, two = (make_provider(n, models=["m"], keys=["sk-1"]) for n in ("one", "two"))
    key, _ = make_client_key(HOSTILE)
    now = datetime.now(UTC)
    ship(
        call(key, try_at(one, "m"), session="a:b:1", agent="a", at=now),
        call(
            key,
            failed_at(one, "m"),
            try_at(two, "m"),
            session="a:b:1",
            agent="a",
            at=now - timedelta(minutes=10),
        ),
        call(None, try_at(one, "m"), session=HOSTILE, agent=HOSTILE, at=now),
    )


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path / "exports"


PAGES = (
    "/usage/?by=key&compare=1",
    "/usage/?by=session&range=90d&compare=1",
    "/usage/?by=tag&metric=latency",
    "/usage/?by=agent&range=24h&metric=tokens_out",
    "/usage/?from=2026-01-01&to=2026-12-31&by=team&compare=1",
    "/usage/sessions/?range=24h",
    "/usage/session/?id=a:b:1",
    "/usage/difference/?range=90d",
    "/usage/views/",
    "/usage/exports/",
    "/usage/now/",
)


@pytest.mark.usefixtures("spent")
@pytest.mark.parametrize("address", PAGES)
def test_every_page_escapes_names_and_stays_within_its_queries(
    as_viktor: Client, address: str
) -> None:
    as_viktor.get(address)
    with Asked() as queries:
        answer = as_viktor.get(address)
    assert len(queries) <= 12
    assert answer.status_code == 200
    assert "<script>alert" not in answer.content.decode()
    assert len(answer.content) < 90_000


@pytest.mark.usefixtures("spent")
def test_session_is_followed_from_the_list_to_its_requests(as_viktor: Client) -> None:
    rows = as_viktor.get("/usage/sessions/?range=24h").context["rows"]
    session = next(row for row in rows if row.name == "a:b:1")
    assert (session.agent, session.models, session.line.requests) == ("a", ["m"], 2)
    assert round(session.duration_s / 60) == 10
    body = as_viktor.get("/usage/session/?id=a:b:1").content.decode()
    assert body.count('<th scope="row"><a href="/requests/') == 2
    assert as_viktor.get("/usage/session/?id=nobody").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "from=9999-99-99&to=x",
        "from=0001-01-01&to=9999-12-31",
        "from=2026-01-02&to=2026-01-01",
        "range=7d&page=99999999999",
        "by=status&status=99999999999999999999",
        "by=key&key=%00%27--&compare=1",
        "from=2026-11-01T00:00:00Z&to=2026-11-01T00:00:00.5Z&metric=errors",
    ],
)
def test_an_address_nobody_offered_is_answered(as_viktor: Client, query: str) -> None:
    assert as_viktor.get(f"/usage/?{query}").status_code == 200


@pytest.mark.usefixtures("spent")
def test_click_on_a_row_narrows_and_the_chip_takes_it_back(as_viktor: Client) -> None:
    found = as_viktor.get("/usage/?by=provider&range=24h").context
    (_, url), *_ = found["rows"]
    narrowed = as_viktor.get(f"/usage/?{url}").context
    assert narrowed["asked"].by == "model"
    assert set(narrowed["asked"].filters) == {"provider"}
    ((_, _, back),) = narrowed["chips"]
    assert not as_viktor.get(f"/usage/?{back}").context["asked"].filters


# Saved views


def test_viewer_saves_renames_shares_and_deletes_a_view(
    as_viktor: Client, as_oskar: Client
) -> None:
    query = "range=30d&by=model&provider=one&evil=1"
    saved = as_viktor.post("/usage/views/save/", {"name": " my  view ", "query": query})
    assert saved.status_code == 302
    view = SavedView.objects.get()
    assert (view.name, view.query) == ("my view", "range=30d&by=model&provider=one")
    opened = as_oskar.get(f"/usage/views/{view.pk}/")
    assert opened["Location"] == f"/usage/?{view.query}"
    assert as_oskar.post(f"/usage/views/{view.pk}/rename/").status_code == 404
    blank = as_viktor.post(f"/usage/views/{view.pk}/rename/", {"name": " "})
    assert blank.status_code == 422
    as_viktor.post(f"/usage/views/{view.pk}/rename/", {"name": "other"})
    assert SavedView.objects.get().name == "other"
    assert b"Its link stops" in as_viktor.get(f"/usage/views/{view.pk}/delete/").content
    as_viktor.post(f"/usage/views/{view.pk}/delete/")
    assert not SavedView.objects.exists()
    told = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))
    assert told[-3:] == ["usage_view.save", "usage_view.rename", "usage_view.delete"]


# Exports


def write(row: Export) -> None:
    """Do the waiting job of an export here."""
    assert row.job is not None
    jobs.run(row.job.pk, saved_services.write_export)
    row.refresh_from_db()


@pytest.mark.usefixtures("spent")
def test_file_is_written_for_its_owner_only_and_expires(
    as_oskar: Client, as_viktor: Client, oskar: User, folder: Path
) -> None:
    sent = {"kind": "usage", "query": "range=24h&by=key"}
    assert as_viktor.post("/usage/exports/start/", sent).status_code == 403
    as_oskar.post("/usage/exports/start/", sent)
    row = Export.objects.get()
    write(row)
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    answer: Any = as_oskar.get(f"/usage/exports/{row.pk}/")
    text = b"".join(answer.streaming_content).decode()
    names = [each["name"] for each in csv.DictReader(io.StringIO(text))]
    assert names == [HOSTILE, ""]
    assert row.rows == len(names)
    assert as_viktor.get(f"/usage/exports/{row.pk}/").status_code == 403
    assert saved_services.remove_expired(row.expires_at) == 1
    assert not list(folder.iterdir())
    assert as_oskar.get(f"/usage/exports/{row.pk}/").status_code == 404


@pytest.mark.usefixtures("spent")
def test_request_log_is_written_whole_as_its_address_narrows_it(
    as_oskar: Client, folder: Path
) -> None:
    sent = {"kind": "requests", "query": "/requests/?session=a:b:1&format=csv"}
    as_oskar.post("/usage/exports/start/", sent)
    write(Export.objects.get())
    (path,) = folder.iterdir()
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [row["attempts"] for row in rows] == ["1", "2"]
    assert {row["client_key"] for row in rows} == {HOSTILE}
    assert {row["cost_usd"] for row in rows} == {""}


@pytest.mark.usefixtures("spent")
def test_cancelled_export_leaves_no_file(oskar: User, folder: Path) -> None:
    row = saved_services.start_export(person(oskar), "usage", "by=provider")
    assert row.job is not None
    jobs.cancel(row.job)
    saved_services.delete_export(person(oskar), row)
    write_again = jobs.run(Job.objects.get().pk, saved_services.write_export)
    assert not write_again
    assert not folder.exists()


def test_unknown_kind_of_export_is_refused(as_oskar: Client) -> None:
    as_oskar.post("/usage/exports/start/", {"kind": "secrets"})
    assert not Export.objects.exists()


# Rebuilding


@pytest.mark.usefixtures("spent")
def test_owner_rebuilds_days_and_figures_stay(
    as_olivia: Client, as_oskar: Client
) -> None:
    before = list(RollupDay.objects.order_by("kind", "ref").values("kind", "requests"))
    today = str(datetime.now(UTC).date())
    sent = {"first": today, "last": today}
    assert as_oskar.post("/usage/rebuild/", sent).status_code == 403
    assert as_olivia.post("/usage/rebuild/", {"first": "x"}).status_code == 422
    as_olivia.post("/usage/rebuild/", sent)
    job = Job.objects.get(task=rebuild_services.REBUILD)
    jobs.run(job.pk, rebuild_services.work)
    job.refresh_from_db()
    assert job.state == "done"
    after = list(RollupDay.objects.order_by("kind", "ref").values("kind", "requests"))
    assert after == before


@pytest.mark.usefixtures("spent")
def test_day_without_requests_keeps_its_sums() -> None:
    RollupDay.objects.update(bucket="2026-01-01")
    count = RollupDay.objects.count()
    rebuild_services._rebuild(datetime(2026, 1, 1, tzinfo=UTC).date())
    assert RollupDay.objects.count() == count


# The admin API


@pytest.mark.usefixtures("spent")
def test_api_says_what_the_screens_say(client: Client, olivia: User) -> None:
    _, text = tokens.create_token(SYSTEM, user=olivia, name="t", scopes=["admin"])
    headers = {"authorization": f"Bearer {text}"}
    base = "/api/admin/v1/usage"
    report = client.get(f"{base}/report?by=key&range=24h", headers=headers).json()
    assert report["totals"]["requests"] == 3
    assert (
        sum(each["value"] for each in report["course"])
        == (report["totals"]["cost_nano_usd"])
    )
    refused = client.get(f"{base}/report?by=model&agent=a", headers=headers)
    assert refused.status_code == 422
    assert client.get(f"{base}/report?zone=../x", headers=headers).status_code == 422
    assert len(client.get(f"{base}/sessions", headers=headers).json()) == 2
    assert client.get(f"{base}/now", headers=headers).json()["requests"] == 3

    def send(path: str, data: dict[str, Any], method: str = "post") -> Any:
        return getattr(client, method)(
            f"{base}/{path}", json.dumps(data), "application/json", headers=headers
        )

    view = send("views", {"name": "v", "query": "by=agent"}).json()
    assert send(f"views/{view['id']}", {"name": "w"}, "patch").json()["name"] == "w"
    gone = client.delete(f"{base}/views/{view['id']}", headers=headers)
    assert gone.status_code == 204
    made = send("exports", {"query": "by=agent"}).json()
    assert made["state"] == "new"
    write(Export.objects.get(pk=made["id"]))
    file: Any = client.get(f"{base}/exports/{made['id']}/file", headers=headers)
    assert b"".join(file.streaming_content).startswith(b"name,requests")
    today = str(datetime.now(UTC).date())
    assert send("rebuild", {"first": today, "last": today}).status_code == 202


# Looking closer


@pytest.mark.usefixtures("spent")
@pytest.mark.parametrize(
    ("span", "columns"), [("1h", 4), ("24h", 24), ("7d", 7), ("90d", 90)]
)
def test_columns_can_be_dragged_over_and_their_edges_are_ranges(
    as_olivia: Client, span: str, columns: int
) -> None:
    page = as_olivia.get("/usage/", {"range": span, "metric": "requests"})
    zoom = page.context["zoom"]
    edges = zoom["edges"].split()
    assert len(edges) - 1 == columns
    assert f'data-edges="{zoom["edges"]}"' in page.content.decode()
    assert "range=" not in zoom["address"]
    asked = {"from": edges[0], "to": edges[-1], "metric": "requests"}
    period = as_olivia.get("/usage/", asked).context["found"].period
    assert f"{period.since:%Y-%m-%dT%H:%M}+0000" == edges[0]
    assert f"{period.until:%Y-%m-%dT%H:%M}+0000" == edges[-1]
