"""Show how far a job is, live: server-sent events, and what stands in for them.

One stream tells one page about one job, at most once a second. Nothing depends on it:
the piece it sends is the piece the page holds and a poll returns, so a page without
scripts, or one that found every stream taken, is right after a reload.

A stream holds no thread and no database connection between two looks. Streams that
show the same thing share one look a second.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.db import connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils import timezone

from poolsite.models import Job

MOST_STREAMS: Final = 20
LONGEST_S: Final = 60.0
PING_S: Final = 15.0
EVERY_S: Final = 1.0
RETRY_MS: Final = 3_000
ENDED: Final = frozenset({Job.State.DONE, Job.State.FAILED, Job.State.CANCELLED})
_PIECE: Final = "poolsite/jobs/_progress.html"
_MOST_SHARED: Final = 100

Renderer = Callable[[HttpRequest, Job], str]
_renderers: dict[str, Renderer] = {}


@dataclass
class _Streams:
    """What this process has open; ``closing`` ends all of it within a second."""

    open: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)


_streams = _Streams()


@dataclass(frozen=True)
class _Look:
    """What a page shows at one moment."""

    at: float
    text: str
    is_over: bool


class _Looks:
    """The last look at each thing shown, so that ten tabs read it once a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[object, ...], _Look] = {}

    def get(self, key: tuple[object, ...], make: Callable[[], _Look]) -> _Look:
        """Return a look at most a second old."""
        with self._lock:
            known = self._known.get(key)
            if known is not None and time.monotonic() - known.at < EVERY_S * 0.9:
                return known
            made = make()
            if len(self._known) >= _MOST_SHARED:
                self._known.clear()
            self._known[key] = made
            return made


_looks = _Looks()


def show(task: str, renderer: Renderer) -> None:
    """Say what shows the jobs of a task in place of the plain progress bar.

    Shapes:  the piece must be right for this request: its person, its query string.
    """
    _renderers[task] = renderer


def piece(request: HttpRequest, job: Job) -> str:
    """Return what a page shows of a job."""
    renderer = _renderers.get(job.task)
    if renderer is not None:
        return renderer(request, job)
    return render_to_string(_PIECE, {"job": job, "share": share(job)}, request)


def share(job: Job) -> float | None:
    """Return how much is done, from 0 to 100; None while the whole is not known."""
    if not job.total:
        return None
    return min(100.0, 100 * job.done / job.total)


def is_over(job: Job) -> bool:
    """Tell whether a job has ended for good."""
    return job.state in ENDED


def close_all() -> None:
    """End every stream of this process soon: it stops, and must not wait for them."""
    _streams.closing.set()


def event(name: str, data: str) -> bytes:
    """Word one event; line breaks of any kind become lines of their own."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()


def stream(request: HttpRequest, job_id: int) -> HttpResponse | StreamingHttpResponse:
    """Answer with the progress of a job until it ends, or 60 s are over.

    Shapes:  ``progress`` events carry the piece, ``done`` the last state: the browser
             closes then. After 60 s the stream just ends and the browser comes back.
    Fails:   503 when every stream is taken: the page goes on polling.
    """
    if _streams.open >= MOST_STREAMS or _streams.closing.is_set():
        return _busy()
    answer = StreamingHttpResponse(
        _Stream(request, job_id, timezone.get_current_timezone()),
        content_type="text/event-stream",
    )
    answer["Cache-Control"] = "no-store"
    answer["X-Accel-Buffering"] = "no"
    return answer


def ended(state: str = "") -> HttpResponse:
    """Answer with an end alone, so that a browser does not come back for ever."""
    answer = HttpResponse(event("done", state), content_type="text/event-stream")
    answer["Cache-Control"] = "no-store"
    return answer


def _busy() -> HttpResponse:
    answer = HttpResponse(
        "Too many live pages are open; this one asks every 10 seconds instead.\n",
        content_type="text/plain",
        status=503,
    )
    answer["Retry-After"] = "10"
    # Expected, and told to the page: no line in the log for each try.
    answer._has_been_logged = True  # type: ignore[attr-defined] # Django's own mark
    return answer


class _Stream:
    """The frames of one stream, and its place among the few there may be.

    The place is taken by the first frame, since an answer that is dropped unread is
    never closed either, and given back once, by the last frame or by ``close``.
    """

    def __init__(self, request: HttpRequest, job_id: int, zone: tzinfo) -> None:
        self._request = request
        self._job_id = job_id
        self._zone = zone
        self._has_place = False

    def close(self) -> None:
        """Give the place back; Django calls it when an answer is over."""
        with _streams.lock:
            _streams.open -= self._has_place
            self._has_place = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _streams.lock:
            _streams.open += 1
            self._has_place = True
        try:
            yield b"retry: %d\n\n" % RETRY_MS
            async for frame in self._frames():
                yield frame
        finally:
            self.close()

    async def _frames(self) -> AsyncIterator[bytes]:
        pinged = time.monotonic()
        end, last = pinged + LONGEST_S, ""
        look_at = sync_to_async(_look)
        while time.monotonic() < end and not _streams.closing.is_set():
            look = await look_at(self._request, self._job_id, self._zone)
            if look.text != last:
                last = look.text
                yield event("progress", last)
            if look.is_over:
                yield event("done", "over")
                return
            if time.monotonic() - pinged >= PING_S:
                pinged = time.monotonic()
                if not await sync_to_async(_may_stay)(self._request):
                    yield event("done", "signed out")
                    return
                yield b": ping\n\n"
            await asyncio.sleep(EVERY_S)


def _look(request: HttpRequest, job_id: int, zone: tzinfo) -> _Look:
    """Read the job and word what the page shows, unless somebody just did."""

    def made() -> _Look:
        job = Job.objects.filter(pk=job_id).first()
        if job is None:
            return _Look(time.monotonic(), "", True)
        return _Look(time.monotonic(), piece(request, job), is_over(job))

    key = (job_id, request.META.get("QUERY_STRING", ""), request.user.pk)
    try:
        with timezone.override(zone):
            return _looks.get(key, made)
    finally:
        _let_go()


def _may_stay(request: HttpRequest) -> bool:
    """Tell whether whoever opened the stream is still signed in."""
    try:
        key = request.session.session_key
        is_known = key is not None and request.session.exists(key)
        return is_known and get_user(request).is_active
    finally:
        _let_go()


def _let_go() -> None:
    """Give the connection back: between two looks a stream holds none.

    Tests look from inside one transaction, which must not be closed.
    """
    if not settings.TESTING:
        connections.close_all()
