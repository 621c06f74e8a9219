"""What running work holds of its job: say where it stands, stop when asked to."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import QuerySet

from poolsite.clock import Clock
from poolsite.models import Job

HEARTBEAT_S: Final = 5
LOOK_S: Final = 0.5


class JobCancelledError(Exception):
    """Somebody asked for the job to stop, or another worker took it over."""


class JobInterruptedError(Exception):
    """The work cannot go on now; it goes on later from what it has done.

    Shapes: ``message`` is shown meanwhile.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class JobHandle:
    """What running work uses to say where it stands.

    ``step`` is cheap to call often: it writes at most every five seconds, unless the
    message or the total changes. ``check`` is for work that must stop sooner: it only
    reads, at most twice a second.
    """

    def __init__(self, job: Job, clock: Clock) -> None:
        self.id: int = job.pk
        self._attempt = job.attempts
        self.clock = clock
        self._written = self._looked = clock.monotonic()
        self._shown: tuple[int | None, str] = (job.total, job.message)
        self.done = job.done

    def step(self, done: int, total: int | None = None, message: str = "") -> None:
        """Note the progress, stay alive, and stop here if asked to.

        Errors: JobCancelledError; let it pass.
        """
        now = self.clock.monotonic()
        shown = (total, message)
        self.done = done
        if shown == self._shown and now - self._written < HEARTBEAT_S:
            return
        self._written, self._shown = now, shown
        changes: dict[str, Any] = {"done": done, "heartbeat_at": self.clock.now()}
        if total is not None:
            changes["total"] = total
        if message:
            changes["message"] = message[:200]
        alive = self._mine().filter(cancel_requested=False).update(**changes)
        if not alive:
            raise JobCancelledError

    def check(self) -> None:
        """Stop here if asked to, within half a second; writes nothing.

        Errors: as ``step``.
        """
        now = self.clock.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        if not self._mine().filter(cancel_requested=False).exists():
            raise JobCancelledError

    def _mine(self) -> QuerySet[Job]:
        return Job.objects.filter(
            pk=self.id, state=Job.State.RUNNING, attempts=self._attempt
        )
