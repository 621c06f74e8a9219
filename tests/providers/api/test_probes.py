"""The admin API's twin of the probe screens."""

from __future__ import annotations

import pytest

from poolsite.models import AuditEvent
from providers.models import ProbeRun
from tests.factories import make_provider
from tests.providers.api.conftest import Api
from tests.providers.services.probers import BUSY, Fake, work

pytestmark = pytest.mark.django_db


def test_estimate_asks_nobody(owner: Api) -> None:
    make_provider("acme", models=["gpt-5-mini", "nobody-knows-it", "tts-1"])
    status, told = owner("POST", "/probes/estimate", {"providers": ["acme"]})
    assert status == 200
    assert (told["models"], told["skipped"], told["unpriced"]) == (2, 1, 1)
    assert told["cost_nano_usd"] > 0
    _, unknown = owner("POST", "/probes/estimate", {"match": "nobody-*"})
    assert unknown["cost_nano_usd"] is None
    assert not ProbeRun.objects.exists()


def test_round_is_started_read_and_resumed(owner: Api) -> None:
    make_provider("acme", models=["gpt-5-mini", "gpt-5-nano"])
    status, run = owner("POST", "/probes", {"match": "gpt-*", "concurrency": 2})
    assert status == 201
    assert (run["total"], run["waiting"], run["state"]) == (2, 2, "new")
    path = f"/probes/{run['id']}"
    assert owner("POST", path + "/cancel")[1]["state"] == "cancelled"
    assert owner("POST", path + "/resume")[1]["state"] == "new"
    work(ProbeRun.objects.get(), Fake({"gpt-5-nano": BUSY}))
    status, told = owner("GET", path)
    assert (status, told["state"], told["ok"], told["unproven"]) == (200, "done", 1, 1)
    first = told["results"][0]
    assert (first["model"], first["status"], first["note"]) == (
        "gpt-5-nano", 429, "Slow down.",
    )  # fmt: skip
    assert owner("GET", "/probes")[1][0]["ok"] == 1
    assert AuditEvent.objects.filter(action="probe.start", source="api").count() == 1


@pytest.mark.parametrize(
    "body", [{"concurrency": 21}, {"timeout_s": 0}, {"unknown": 1}, {"match": "zz-*"}]
)
def test_what_cannot_be_is_refused(owner: Api, body: dict[str, object]) -> None:
    make_provider("acme", models=["gpt-5-mini"])
    assert owner("POST", "/probes", body)[0] in (400, 422)
    assert not ProbeRun.objects.exists()


def test_unknown_round_is_404(owner: Api) -> None:
    assert owner("GET", "/probes/987654")[0] == 404


def test_any_job_is_listed_and_stopped(owner: Api) -> None:
    make_provider("acme", models=["gpt-5-mini"])
    owner("POST", "/probes", {})
    job = owner("GET", "/jobs")[1][0]
    assert (job["task"], job["state"], job["total"]) == ("providers.probe", "new", 1)
    assert owner("POST", f"/jobs/{job['id']}/cancel")[1]["state"] == "cancelled"
    assert owner("GET", f"/jobs/{job['id']}")[1]["finished_at"] is not None
    assert AuditEvent.objects.filter(action="job.cancel", source="api").count() == 1
    assert owner("GET", "/jobs/987654")[0] == 404
