"""``pool model probe``."""

from __future__ import annotations

from typing import Any

import pytest

from providers.management import probing
from providers.models import ProbeRun
from tests.factories import make_provider
from tests.providers.commands.conftest import Pool
from tests.providers.services.probers import BUSY, Fake, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the round be done by the time the command looks."""

    def wait(run: ProbeRun, *, real: Any = probing._await) -> None:
        work(run, Fake({"busy": BUSY}))
        real(run)

    monkeypatch.setattr(probing, "_await", wait)


def test_probe_waits_and_prints_what_each_model_said(pool: Pool, at_once: None) -> None:
    make_provider("acme", models=["gpt-5-mini", "busy", "tts-1"])
    ran = pool("model", "probe", "acme")
    assert ran.status == 0
    assert "2 models, about $" in ran.out
    assert "1 without a price" in ran.out
    assert "Slow down." in ran.out
    told = pool("model", "probe", "acme", "--match", "gpt-*", "--json").json
    assert (told["total"], told["ok"]) == (1, 1)
    assert told["results"][0]["model"] == "gpt-5-mini"


def test_probe_may_be_left_alone(pool: Pool) -> None:
    make_provider("acme", models=["gpt-5-mini"])
    ran = pool("model", "probe", "acme", "--no-wait", "--keep-missing")
    assert ran.status == 0
    run = ProbeRun.objects.get()
    assert f"Probe {run.pk}:" in ran.out
    assert not run.disable_missing


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "no provider nobody"),
        (["acme", "--match", "zz-*"], "No model of this provider"),
        (["acme", "--concurrency", "99"], "From 1 to 20"),
    ],
)
def test_refusals_are_one_line(pool: Pool, arguments: list[str], said: str) -> None:
    make_provider("acme", models=["gpt-5-mini"])
    ran = pool("model", "probe", *arguments)
    assert ran.status == 1
    assert said in ran.err
