"""Stand-ins for the proxy: what answers probes in tests of a round."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from poolsite import jobs
from poolsite.clock import Clock, SystemClock
from poolsite.models import Job
from providers.models import ProbeRun
from providers.services.own_call import ProbeAnswer
from providers.services.probing import runner

OK = ProbeAnswer(200, attempts=1, latency_ms=12)
MISSING = ProbeAnswer(404, "The model does not exist.", "", 1, latency_ms=5)
BUSY = ProbeAnswer(429, "Slow down.", "rate_limit_exceeded", 1)
AWAY = ProbeAnswer(None, category="refused")


class Fake:
    """Answer by model id; count who is asked, and how many at once."""

    def __init__(
        self,
        answers: dict[str, ProbeAnswer] | None = None,
        *,
        before: Callable[[str], object] | None = None,
    ) -> None:
        self.answers = answers or {}
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.is_closed = threading.Event()
        self._before = before
        self._lock = threading.Lock()

    def ask(self, model_row: int, model_id: str) -> ProbeAnswer:
        with self._lock:
            self.asked.append(model_id)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self._before is not None:
                self._before(model_id)
            return self.answers.get(model_id, OK)
        finally:
            with self._lock:
                self.at_once -= 1

    def close(self) -> None:
        self.is_closed.set()


def work(run: ProbeRun, fake: Fake, *, clock: Clock | None = None) -> Job:
    """Run a round's job here and now, as a worker would; return the job."""
    run.refresh_from_db()
    assert run.job_id is not None
    does = partial(runner.run_probes, make_prober=lambda _: fake)
    jobs.run(run.job_id, does, clock=clock or SystemClock())
    return Job.objects.get(pk=run.job_id)
