"""A round of probes: what it asks, what it writes, how it ends and goes on."""

from __future__ import annotations

import threading
import time

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.test.utils import CaptureQueriesContext

from poolsite import audit, jobs
from poolsite.actor import SYSTEM, person
from poolsite.clock import ManualClock
from poolsite.job_handle import JobHandle
from poolsite.models import AuditEvent, Job, User
from providers.models import ProbeResult, ProbeRun, Provider, ProviderModel
from providers.services.errors import ServiceError
from providers.services.own_call import ProbeAnswer
from providers.services.probing import choice, runner, runs
from providers.services.probing.asking import Item
from tests.factories import make_models, make_provider
from tests.providers.services.probers import AWAY, BUSY, MISSING, OK, Fake, work

pytestmark = pytest.mark.django_db


def ids(provider: Provider) -> list[int]:
    return list(provider.models.order_by("pk").values_list("pk", flat=True))


def states(run: ProbeRun) -> dict[str, str]:
    rows = run.results.order_by("pk").values_list("model__model_id", "state")
    return dict(rows)


@pytest.fixture
def acme() -> Provider:
    return make_provider("acme", models=["good", "gone", "busy", "tts-1"])


@pytest.fixture
def answers() -> dict[str, ProbeAnswer]:
    return {"gone": MISSING, "busy": BUSY}


def test_round_writes_what_each_answer_says(
    acme: Provider, answers: dict[str, ProbeAnswer]
) -> None:
    run = runs.start_probe(SYSTEM, ids(acme))
    fake = Fake(answers)
    job = work(run, fake)
    assert (job.state, job.done, job.total) == ("done", 4, 4)
    assert job.result
    assert job.result["ok"] == job.result["missing"] == job.result["skipped"] == 1
    assert states(run) == {
        "good": "ok", "gone": "missing", "busy": "unproven", "tts-1": "skipped",
    }  # fmt: skip
    assert sorted(fake.asked) == ["busy", "gone", "good"]
    busy = run.results.get(model__model_id="busy")
    assert (busy.status_code, busy.error) == (429, "Slow down.")


def test_round_notes_its_evidence_on_the_models(
    acme: Provider, answers: dict[str, ProbeAnswer]
) -> None:
    ProviderModel.objects.filter(model_id="good").update(evidence={"tools": False})
    work(runs.start_probe(SYSTEM, ids(acme)), Fake(answers))
    found = {model.model_id: model for model in acme.models.all()}
    good, gone, busy = found["good"], found["gone"], found["busy"]
    assert (good.probe_ok, good.probe_ms, good.enabled) == (True, 12, True)
    assert good.evidence == {"tools": False, "chat": True}
    assert good.probe_at is not None
    assert (gone.probe_ok, gone.probe_note) == (False, "The model does not exist.")
    assert (busy.probe_ok, busy.probe_note, busy.enabled) == (None, "Slow down.", True)
    assert found["tts-1"].probe_at is None


def test_missing_model_is_switched_off_with_an_audit_event(
    acme: Provider, olivia: User
) -> None:
    run = runs.start_probe(person(olivia), ids(acme))
    work(run, Fake({"gone": MISSING}))
    gone = ProviderModel.objects.get(model_id="gone")
    assert not gone.enabled
    event = AuditEvent.objects.get(action="model.disable")
    assert (event.actor, event.object_id) == (olivia, str(gone.pk))
    assert audit.verify_chain() is None
    assert acme.models.filter(enabled=False).count() == 1


def test_missing_model_stays_on_when_asked_to(acme: Provider) -> None:
    run = runs.start_probe(SYSTEM, ids(acme), disable_missing=False)
    work(run, Fake({"gone": MISSING}))
    assert ProviderModel.objects.get(model_id="gone").enabled
    assert states(run)["gone"] == "missing"


def test_missing_model_of_a_catalogue_mode_provider_stays_on(acme: Provider) -> None:
    Provider.objects.filter(pk=acme.pk).update(metadata_mode="catalog")
    work(runs.start_probe(SYSTEM, ids(acme)), Fake({"gone": MISSING}))
    assert ProviderModel.objects.get(model_id="gone").enabled


def test_never_more_at_once_than_asked_for() -> None:
    many = make_provider("many", models=[f"m-{number}" for number in range(24)])
    fake = Fake(before=lambda _: time.sleep(0.005))
    work(runs.start_probe(SYSTEM, ids(many), concurrency=3), fake)
    assert len(fake.asked) == 24
    assert fake.most_at_once == 3


def test_providers_take_turns() -> None:
    first = make_provider("first", models=["a-1", "a-2", "a-3"])
    second = make_provider("second", models=["b-1", "b-2"])
    fake = Fake()
    work(runs.start_probe(SYSTEM, ids(first) + ids(second), concurrency=1), fake)
    assert fake.asked == ["a-1", "b-1", "a-2", "b-2", "a-3"]


def test_cancel_leaves_within_two_seconds_and_keeps_results(acme: Provider) -> None:
    make_models(acme, *(f"m-{number}" for number in range(6)))
    hold = threading.Event()
    run = runs.start_probe(SYSTEM, ids(acme), concurrency=2)
    begun: list[float] = []

    def before(model_id: str) -> None:
        if model_id.startswith("m-"):
            begun.append(time.monotonic())
            hold.wait(20)

    fake = Fake(before=before)
    cancelled_at: list[float] = []
    seen = runner._Round._step

    def step(round_: runner._Round) -> None:
        if len(begun) == 2 and not cancelled_at:
            assert runs.cancel_probe(SYSTEM, run)
            cancelled_at.append(time.monotonic())
        seen(round_)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner._Round, "_step", step)
        job = work(run, fake)
    assert time.monotonic() - cancelled_at[0] < 2
    assert job.state == "cancelled"
    found = states(run)
    assert [found[name] for name in ("good", "gone", "busy")] == ["ok"] * 3
    assert [found[f"m-{number}"] for number in range(6)] == ["waiting"] * 6
    assert len(fake.asked) == 5, "nothing is begun after the wish"
    assert not fake.is_closed.is_set(), "a connection in use is left alone"
    hold.set()
    assert fake.is_closed.wait(5)
    assert states(run) == found
    assert AuditEvent.objects.filter(action="probe.cancel").count() == 1


def test_cancelling_what_waits_ends_it_at_once(acme: Provider) -> None:
    run = runs.start_probe(SYSTEM, ids(acme))
    assert runs.cancel_probe(SYSTEM, run)
    fake = Fake()
    assert work(run, fake).state == "cancelled"
    assert fake.asked == []
    assert not runs.cancel_probe(SYSTEM, run)


def test_killed_worker_resumes_with_what_waits(acme: Provider) -> None:
    clock = ManualClock()
    run = runs.start_probe(SYSTEM, ids(acme), clock=clock)
    # A worker that died: its claim and its first result are all that is left of it.
    Job.objects.filter(probe_run=run).update(
        state="running", attempts=1, heartbeat_at=clock.now()
    )
    run.results.filter(model__model_id="good").update(state="ok", at=clock.now())
    clock.advance(jobs.DEAD_S + 1)
    jobs.sweep(clock=clock)
    fake = Fake()
    job = work(run, fake, clock=clock)
    assert (job.state, job.attempts) == ("done", 2)
    assert sorted(fake.asked) == ["busy", "gone"]


def test_worker_that_runs_out_of_time_keeps_what_came(acme: Provider) -> None:
    run = runs.start_probe(SYSTEM, ids(acme), concurrency=1)
    seen = runner._Round._step

    def step(round_: runner._Round) -> None:
        seen(round_)
        raise SoftTimeLimitExceeded

    hold = threading.Event()
    fake = Fake(before=lambda name: name == "gone" and hold.wait(20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner._Round, "_step", step)
        with pytest.raises(SoftTimeLimitExceeded):
            work(run, fake)
    hold.set()
    assert Job.objects.get(probe_run=run).state == "interrupted"
    assert ProbeResult.objects.filter(run=run, state="ok").count() >= 1
    again = Fake()
    assert work(run, again).state == "done"
    assert "waiting" not in states(run).values()
    assert not set(again.asked) & {name for name in fake.asked if name != "gone"}, (
        "what was answered is not asked again"
    )


def test_a_proxy_that_comes_back_is_waited_for(acme: Provider) -> None:
    fake = Fake()
    fake.answers = {"good": AWAY}

    def back(model_id: str) -> None:
        if fake.asked.count("good") > 1:
            fake.answers = {}

    fake._before = back
    run = runs.start_probe(SYSTEM, ids(acme))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "_RETRY_S", 0.01)
        assert work(run, fake).state == "done"
    assert states(run)["good"] == "ok"


@pytest.mark.parametrize(
    "away", [AWAY, ProbeAnswer(503, "The pool is restarting.", "draining")]
)
def test_a_proxy_that_is_away_interrupts_the_job_and_blames_no_model(
    acme: Provider, away: ProbeAnswer
) -> None:
    fake = Fake(dict.fromkeys(("good", "gone", "busy"), away))
    run = runs.start_probe(SYSTEM, ids(acme))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "AWAY_S", 0.01)
        patch.setattr(runner, "_RETRY_S", 0.01)
        job = work(run, fake)
    assert (job.state, job.message) == ("interrupted", runner._AWAY)
    assert states(run)["good"] == "waiting"
    assert work(run, Fake()).state == "done"
    assert states(run)["good"] == "ok"


def test_a_failed_round_goes_on_with_a_new_job(acme: Provider) -> None:
    run = runs.start_probe(SYSTEM, ids(acme))
    Job.objects.filter(probe_run=run).update(state="failed")
    runs.resume_probe(SYSTEM, run)
    assert Job.objects.filter(task=runs.TASK).count() == 2
    assert work(run, Fake()).state == "done"
    assert "waiting" not in states(run).values()


def test_a_round_that_runs_or_is_done_is_not_resumed(acme: Provider) -> None:
    run = runs.start_probe(SYSTEM, ids(acme))
    with pytest.raises(ServiceError, match="still running"):
        runs.resume_probe(SYSTEM, run)
    work(run, Fake())
    with pytest.raises(ServiceError, match="was asked"):
        runs.resume_probe(SYSTEM, run)


def test_start_writes_rows_a_job_and_an_event(acme: Provider, olivia: User) -> None:
    run = runs.start_probe(person(olivia), ids(acme), concurrency=7, timeout_s=3)
    assert run.job is not None
    assert (run.job.task, run.job.total) == ("providers.probe", 4)
    assert run.job.created_by == olivia
    event = AuditEvent.objects.get(action="probe.start")
    assert event.after
    assert (event.after["models"], event.after["skipped"]) == (3, 1)
    assert (
        run.results.get(model__model_id="tts-1").error == "no chat model, by its name"
    )


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 21}, "concurrency"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": 61}, "timeout_s"),
        ({"models": []}, "models"),
        ({"models": [987_654_321]}, "models"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    acme: Provider, values: dict[str, object], field: str
) -> None:
    asked: dict[str, object] = {"models": ids(acme), **values}
    with pytest.raises(ServiceError) as refused:
        runs.start_probe(SYSTEM, asked.pop("models"), **asked)  # type: ignore[arg-type] # wrong on purpose
    assert refused.value.field == field
    assert not ProbeRun.objects.exists()


def test_answers_are_written_in_few_queries(acme: Provider) -> None:
    make_models(acme, *(f"m-{number}" for number in range(25)))
    run = runs.start_probe(SYSTEM, list(acme.models.values_list("pk", flat=True)))
    handle = JobHandle(run.job or Job(), ManualClock())
    found = [
        (Item(row.pk, row.model_id, ""), OK)
        for row in run.results.filter(state="waiting")[:25]
    ]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        written = runner._store(run, SYSTEM, found, handle)
    assert len(written["ok"]) == 25
    assert len(queries) <= 10


# Choosing and the estimate


def test_choice_by_provider_pattern_and_capability() -> None:
    first = make_provider("first", models=["gpt-a", "gpt-b", "claude-c"])
    make_provider("second", models=["GPT-d"])
    ProviderModel.objects.filter(model_id="gpt-b").update(capabilities={"tools": True})
    ProviderModel.objects.filter(model_id="gpt-a").update(
        capabilities={"tools": True}, evidence={"tools": False}
    )

    def names(**values: object) -> list[str]:
        found = choice.chosen(choice.Choice(**values))  # type: ignore[arg-type] # fields
        return [model.model_id for model in found]

    assert names(match="gpt-*") == ["gpt-a", "gpt-b", "GPT-d"]
    assert names(providers=["second"]) == ["GPT-d"]
    assert names(capability="tools") == ["gpt-b"], "what was refuted does not count"
    ProviderModel.objects.filter(provider=first).update(enabled=False)
    assert names() == ["GPT-d"]
    assert len(names(only_enabled=False)) == 4


def test_estimate_says_what_is_known_and_counts_the_rest() -> None:
    local = make_provider("acme", models=["gpt-5-mini", "nobody-knows-it", "tts-1"])
    found = choice.estimate(choice.chosen(choice.Choice()))
    assert [model.model_id for model in found.asked] == [
        "gpt-5-mini",
        "nobody-knows-it",
    ]
    assert [model.model_id for model, _ in found.skipped] == ["tts-1"]
    assert 0 < found.cost_nano_usd < 1_000_000
    assert found.unpriced == 1
    assert found.has_price
    local.models.filter(model_id="gpt-5-mini").delete()
    nothing = choice.estimate(choice.chosen(choice.Choice()))
    assert (nothing.unpriced, nothing.has_price) == (1, False)
