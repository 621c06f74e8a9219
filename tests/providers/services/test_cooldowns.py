"""Cooldowns are cleared for good, and end when the vendor says that quota is back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.utils import timezone

from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock, SystemClock
from providers.keeper.facts import FILE, Facts
from providers.models import ApiKey, Fact, Provider
from providers.proxy.following import HealthFollower
from providers.routing.health import Health
from providers.routing.types import Route
from providers.services import account_status, cooldowns
from providers.services.errors import ServiceError
from tests.factories import make_api_key, make_provider
from tests.providers.cooling import cool, key_subject
from tests.providers.routing.test_diagnosis import routes
from tests.vendors.server import Vendor
from usage.journal import records

pytestmark = pytest.mark.django_db
CLOCK = SystemClock()


class Journal:
    """Keeps what is appended."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def append(self, record: Any) -> None:
        self.records.append(record)


@pytest.fixture
def key() -> ApiKey:
    return make_api_key(make_provider("acme", models=["m"]))


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    return Facts(tmp_path, CLOCK)


def follower(path: Path, health: Health) -> HealthFollower:
    journal: Any = Journal()
    return HealthFollower(path / FILE, health, snapshot=lambda: None, journal=journal)


def reason(health: Health, route: Route) -> str:
    cooling = health.cooling(route)
    return "" if cooling is None else cooling.reason


def cooldown_rows() -> list[str]:
    return list(Fact.objects.filter(kind="cooldown").values_list("key", flat=True))


# From one worker to the others, through rows and the file


def test_workers_learn_through_the_keepers_file(tmp_path: Path, facts: Facts) -> None:
    here, there = Health(CLOCK), Health(CLOCK)
    following = follower(tmp_path, there)
    route = routes()[0]
    facts.keep(here.report(route, "quota"))
    facts.write_file()
    assert len(following.poll()) == 1
    assert reason(there, route) == "quota"
    here.begin(route)
    facts.keep(here.report(route, "ok"))
    facts.write_file()
    following.poll()
    assert reason(there, route) == ""


def test_clearing_reaches_a_worker_and_is_not_undone_by_late_news(
    tmp_path: Path, facts: Facts
) -> None:
    """A fact on its way when a person cleared it does not bring the cooldown back."""
    worker = Health(CLOCK)
    following = follower(tmp_path, worker)
    found = routes()[:2]
    first = worker.report(found[0], "quota")
    late = worker.report(found[1], "quota")
    facts.keep(first)
    facts.write_file()
    assert cooldowns.clear_all(SYSTEM) == 1
    facts.keep(late)
    facts.write_file()
    following.poll()
    assert [reason(worker, each) for each in found] == ["", ""]
    assert cooldown_rows() == []
    facts.keep(worker.report(found[0], "quota"))
    assert len(cooldown_rows()) == 1


def test_one_subject_is_cleared_by_its_name(tmp_path: Path, facts: Facts) -> None:
    worker = Health(CLOCK)
    following = follower(tmp_path, worker)
    found = routes()[:2]
    for route in found:
        facts.keep(worker.report(route, "quota"))
    cooldowns.clear(SYSTEM, "credential:1:api_key:11")
    facts.write_file()
    following.poll()
    assert [reason(worker, each) for each in found] == ["", "quota"]
    with pytest.raises(ServiceError):
        cooldowns.clear(SYSTEM, "credential:1:api_key:11")


def test_a_worker_tells_how_often_models_fail(tmp_path: Path, facts: Facts) -> None:
    health, journal = Health(CLOCK), Journal()
    port: Any = journal
    following = HealthFollower(
        tmp_path / FILE, health, snapshot=lambda: None, journal=port
    )
    for kind in ("timeout", "timeout", "rate_limit"):
        health.report(routes()[0], kind, reason="slow")
    following.tell()
    following.tell()
    assert len(journal.records) == 1
    facts.keep(journal.records)
    facts.keep(journal.records)
    row = Fact.objects.get(kind="failures")
    assert row.payload["counts"] == {"timeout": 4, "rate_limit": 2}
    assert row.payload["error"] == "slow"


def test_counts_begin_anew_after_a_quiet_day(facts: Facts) -> None:
    def told(ago: timedelta) -> records.Fact:
        at = timezone.now() - ago
        payload = {"provider_id": 1, "model_id": 2, "counts": {"timeout": 5}}
        at_ns = int(at.timestamp() * 1e9)
        return records.Fact(
            kind="failures", key="model:2", at_ns=at_ns, payload=payload
        )

    facts.keep([told(timedelta(hours=60))])
    facts.keep([told(timedelta(hours=30))])
    facts.keep([told(timedelta(hours=20))])
    row = Fact.objects.get(kind="failures")
    assert row.payload["counts"] == {"timeout": 10}


def test_rows_that_are_over_go_by_themselves(tmp_path: Path, key: ApiKey) -> None:
    clock = ManualClock(timezone.now())
    facts = Facts(tmp_path, clock)
    cool(key_subject(key), for_s=30)
    assert facts.write_file()
    clock.advance(59)
    assert not facts.write_file()
    assert cooldown_rows()
    clock.advance(2)
    assert facts.write_file()
    assert not cooldown_rows()
    assert json.loads((tmp_path / FILE).read_text()) == []


@pytest.mark.parametrize("content", [b"", b"{", b'[{"kind": 1}]', b"[[]]"])
def test_a_damaged_file_leaves_what_is_known(tmp_path: Path, content: bytes) -> None:
    health = Health(CLOCK)
    health.report(routes()[0], "quota")
    (tmp_path / FILE).write_bytes(content)
    assert follower(tmp_path, health).poll() == []
    assert reason(health, routes()[0]) == "quota"


def test_the_file_gives_back_the_very_moment(tmp_path: Path, facts: Facts) -> None:
    health = Health(CLOCK)
    (told,) = health.report(routes()[0], "quota")
    facts.keep([told])
    facts.write_file()
    (found,) = msgspec.json.decode(
        (tmp_path / FILE).read_bytes(), type=list[records.Fact]
    )
    assert found.at_ns == told.at_ns
    assert health.merge([found]) == 0


# What the vendor says of the account


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        yield running


def _deep(vendor: Vendor, left: str) -> Provider:
    infos = {"balance_infos": [{"currency": "USD", "total_balance": left}]}
    vendor.on("GET", "/user/balance", infos)
    return make_provider(
        "deep",
        base_url=f"{vendor.root}/v1",
        allow_private=True,
        catalogue_id="deepseek",
        keys=["sk-account-1-abcd"],
    )


def test_a_balance_that_is_back_ends_the_rest_within_one_poll(vendor: Vendor) -> None:
    provider = _deep(vendor, "25.00")
    key = provider.api_keys.get()
    cool(key_subject(key), "quota", for_s=18 * 86_400)
    account_status.refresh(provider, force=True)
    assert not cooldown_rows()
    assert Fact.objects.get(kind="recovery").key == key_subject(key)


@pytest.mark.parametrize(
    ("left", "reason"), [("0.00", "quota"), ("0.05", "quota"), ("25.00", "auth")]
)
def test_little_money_and_other_reasons_end_nothing(
    vendor: Vendor, left: str, reason: str
) -> None:
    provider = _deep(vendor, left)
    cool(key_subject(provider.api_keys.get()), reason)
    account_status.refresh(provider, force=True)
    assert cooldown_rows()


def test_figures_older_than_the_rest_end_nothing(vendor: Vendor) -> None:
    provider = _deep(vendor, "25.00")
    (status,) = account_status.refresh(provider, force=True)
    cool(key_subject(provider.api_keys.get()), "quota")
    assert not cooldowns.quota_is_back(status)
    assert cooldown_rows()
