"""Live progress of a job: the frames, the end, who may listen, and how many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient, Client

from poolsite import jobs
from poolsite.models import AuditEvent, Job, User
from poolsite.ui import sse
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look often, so that nothing sleeps; forget the looks of other tests."""
    monkeypatch.setattr(sse, "EVERY_S", 0.01)
    sse._looks._known.clear()
    yield
    sse._streams.closing.clear()
    assert sse._streams.open == 0, "a stream kept its place"


@pytest.fixture(autouse=True)
async def no_connection_left() -> AsyncIterator[None]:
    """Close what the thread of asynchronous tests opened; nobody else can."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
def job() -> Job:
    made = jobs.start("x.work", label="Import <b>")
    Job.objects.filter(pk=made.pk).update(state="running", done=37, total=120)
    return made


async def signed_in(role: str = "viewer") -> AsyncClient:
    client = AsyncClient()
    user = await sync_to_async(factories.make_user)(f"{role}@example.com", role)
    await client.aforce_login(user)
    return client


def frames_of(answer: Any) -> AsyncIterator[bytes]:
    return aiter(answer)


async def rest(frames: AsyncIterator[bytes]) -> str:
    return b"".join([frame async for frame in frames]).decode()


async def change(job: Job, **values: Any) -> None:
    await Job.objects.filter(pk=job.pk).aupdate(**values)


def test_an_event_is_a_name_and_lines() -> None:
    assert sse.event("progress", "<p>\na\r\nb</p>") == (
        b"event: progress\ndata: <p>\ndata: a\ndata: b</p>\n\n"
    )
    assert sse.event("done", "") == b"event: done\ndata: \n\n"


async def test_stream_tells_changes_until_the_job_ends(job: Job) -> None:
    client = await signed_in()
    answer = await client.get(f"/jobs/{job.pk}/events/")
    assert answer["Content-Type"] == "text/event-stream"
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Accel-Buffering"] == "no"
    frames = frames_of(answer)
    assert await anext(frames) == b"retry: 3000\n\n"
    first = (await anext(frames)).decode()
    assert first.startswith("event: progress\ndata: ")
    assert "37 / 120" in first
    await change(job, done=40)
    assert "40 / 120" in (await anext(frames)).decode()
    await change(job, state="done", done=120)
    told = await rest(frames)
    assert "120 / 120" in told
    assert told.endswith("event: done\ndata: over\n\n")


async def test_what_did_not_change_is_not_sent_again(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "LONGEST_S", 0.2)
    client = await signed_in()
    told = await rest(frames_of(await client.get(f"/jobs/{job.pk}/events/")))
    assert told.count("event: progress") == 1
    assert "event: done" not in told, "the browser comes back by itself"


async def test_heartbeat_is_a_comment(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "PING_S", 0.02)
    monkeypatch.setattr(sse, "LONGEST_S", 0.2)
    client = await signed_in()
    told = await rest(frames_of(await client.get(f"/jobs/{job.pk}/events/")))
    assert "\n: ping\n\n" in told


async def test_signing_out_ends_the_stream(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "PING_S", 0.02)
    client = await signed_in()
    frames = frames_of(await client.get(f"/jobs/{job.pk}/events/"))
    await anext(frames)
    await client.alogout()
    assert (await rest(frames)).endswith("event: done\ndata: signed out\n\n")


async def test_a_stranger_is_told_the_end_and_not_sent_to_sign_in(
    job: Job, olivia: User
) -> None:
    answer = await AsyncClient().get(f"/jobs/{job.pk}/events/")
    assert answer.status_code == 200
    assert answer.content == b"event: done\ndata: signed out\n\n"


async def test_streams_are_bounded_and_give_their_places_back(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MOST_STREAMS", 2)
    client = await signed_in()
    path = f"/jobs/{job.pk}/events/"
    held = [await client.get(path) for _ in range(2)]
    for answer in held:
        await anext(frames_of(answer))
    refused = await client.get(path)
    assert (refused.status_code, refused["Retry-After"]) == (503, "10")
    for answer in held:
        answer.close()
    assert (await client.get(path)).status_code == 200


async def test_a_stopping_console_ends_every_stream(job: Job) -> None:
    client = await signed_in()
    frames = frames_of(await client.get(f"/jobs/{job.pk}/events/"))
    await anext(frames)
    sse.close_all()
    async with asyncio.timeout(1):
        await rest(frames)
    assert (await client.get(f"/jobs/{job.pk}/events/")).status_code == 503


async def test_streams_of_one_person_share_a_look(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "EVERY_S", 0.2)
    looks: list[int] = []

    def show(_: object, shown: Job) -> str:
        looks.append(shown.pk)
        return "same"

    monkeypatch.setitem(sse._renderers, "x.work", show)
    client = await signed_in()
    for _ in range(3):
        answer = await client.get(f"/jobs/{job.pk}/events/")
        frames = frames_of(answer)
        await anext(frames)
        assert b"data: same" in await anext(frames)
        answer.close()
    assert len(looks) == 1


async def test_a_job_nobody_knows_is_not_found(olivia: User) -> None:
    client = await signed_in()
    assert (await client.get("/jobs/987654/events/")).status_code == 404


# Without a stream


def test_page_works_without_scripts(job: Job, as_viktor: Client) -> None:
    page = as_viktor.get(f"/jobs/{job.pk}/").content.decode()
    assert "37 / 120" in page
    assert f'sse-connect="/jobs/{job.pk}/events/"' in page
    assert "Refresh</a>" in page
    assert "Import &lt;b&gt;" in page
    assert "Cancel" not in page, "a viewer may only look"


def test_poll_answers_the_piece_then_reloads(job: Job, as_oskar: Client) -> None:
    path, htmx = f"/jobs/{job.pk}/", {"HX-Request": "true"}
    assert b"37 / 120" in as_oskar.get(path, headers=htmx).content
    Job.objects.filter(pk=job.pk).update(state="done")
    assert as_oskar.get(path, headers=htmx)["HX-Refresh"] == "true"
    assert b"sse-connect" not in as_oskar.get(path).content


def test_cancel_leaves_an_event_and_goes_back(job: Job, as_oskar: Client) -> None:
    path = f"/jobs/{job.pk}/cancel/"
    answer = as_oskar.post(path, {"next": "/models/probes/3/"})
    assert answer["Location"] == "/models/probes/3/"
    assert Job.objects.get(pk=job.pk).cancel_requested
    assert AuditEvent.objects.get(action="job.cancel").object_id == str(job.pk)
    Job.objects.filter(pk=job.pk).update(state="done")
    for elsewhere in ("//evil.example", "https://evil.example/", ""):
        assert as_oskar.post(path, {"next": elsewhere})["Location"] == (
            f"/jobs/{job.pk}/"
        )


def test_viewers_cancel_nothing(job: Job, as_viktor: Client) -> None:
    assert as_viktor.post(f"/jobs/{job.pk}/cancel/").status_code == 403
