"""The keeper's small duties: sums, facts, deaths, tokens, and going on regardless."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.db import OperationalError
from django.utils import timezone

from oauth.models import Account
from poolsite import secrets
from poolsite.clock import ManualClock
from poolsite.models import Alert
from providers.keeper import deaths
from providers.keeper.facts import FILE as FACTS_FILE
from providers.keeper.facts import Facts
from providers.keeper.loop import Duty, Schedule, only_one
from providers.keeper.spending import FILE as SPEND_FILE
from providers.keeper.spending import Spending
from providers.keeper.tokens import TokenAnswer, TokenAsk, TokenServer, answer
from providers.models import ApiKey, Fact
from providers.routing.health import Health
from tests import factories
from usage.journal import records
from usage.models import Budget, BudgetWindow


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(timezone.now())


def cooldown(key: ApiKey, *, reason: str = "auth", until_s: float | None) -> Any:
    payload = {
        "reason": reason, "until_s": until_s, "count": 1,
        "provider_id": key.provider_id, "model_id": 1, "credential_kind": "api_key",
        "credential_id": key.pk,
    }  # fmt: skip
    subject = f"credential:{key.provider_id}:api_key:{key.pk}"
    return records.Fact(kind="cooldown", key=subject, at_ns=1, payload=payload)


# Budget sums


def _window(spent: int, window: str = "total") -> BudgetWindow:
    budget = Budget.objects.create(
        scope="pool", amount_nano_usd=10, window="total", created_at=timezone.now()
    )
    return BudgetWindow.objects.create(
        budget=budget, window_id=window, spent_nano_usd=spent,
        updated_at=timezone.now(),
    )  # fmt: skip


@pytest.mark.django_db
def test_sums_stand_in_the_file_with_each_journals_part(
    tmp_path: Path, clock: ManualClock
) -> None:
    row = _window(70)
    key = (row.budget_id, "total")
    spending = Spending(tmp_path, clock)
    assert spending.update([], {"dir-a": {key: 30}, "dir-b": {}})
    content = json.loads((tmp_path / SPEND_FILE).read_text())
    assert content["windows"] == [[row.budget_id, "total", 70, {"dir-a": 30}]]


@pytest.mark.django_db
def test_file_is_written_only_when_sums_or_journals_change(
    tmp_path: Path, clock: ManualClock
) -> None:
    row = _window(70)
    key = (row.budget_id, "total")
    spending = Spending(tmp_path, clock)
    spending.update([], {"dir-a": {}})
    assert not spending.update([], {"dir-a": {}})
    BudgetWindow.objects.update(spent_nano_usd=90)
    assert spending.update([key], {"dir-a": {key: 20}})
    assert spending.update([], {})
    assert spending.update([], {"dir-b": {}})


@pytest.mark.django_db
def test_what_came_through_a_dead_journal_is_told_for_a_minute_more(
    tmp_path: Path, clock: ManualClock
) -> None:
    row = _window(20)
    key = (row.budget_id, "total")
    spending = Spending(tmp_path, clock)
    spending.update([], {"dir-a": {key: 20}})
    told = []
    for journals in ({}, {"dir-b": {}}):
        assert spending.update([], journals)
        content = json.loads((tmp_path / SPEND_FILE).read_text())
        told += content["windows"]
        clock.advance(61)
    assert told == [
        [row.budget_id, "total", 20, {"dir-a": 20}],
        [row.budget_id, "total", 20, {}],
    ]


# Facts


@pytest.mark.django_db
def test_refused_key_needs_a_person_and_recovers_with_its_fact(
    tmp_path: Path, clock: ManualClock
) -> None:
    key = factories.make_api_key(factories.make_provider("acme"))
    facts = Facts(tmp_path, clock)
    until = clock.time_ns() / 1e9 + 3_600
    facts.keep([cooldown(key, until_s=until)])
    key.refresh_from_db()
    assert key.state == ApiKey.State.NEEDS_ATTENTION
    assert Fact.objects.get().payload["reason"] == "auth"

    facts.keep([cooldown(key, until_s=None)])
    key.refresh_from_db()
    assert key.state == ApiKey.State.OK
    assert not Fact.objects.filter(kind="cooldown").exists()


@pytest.mark.django_db
def test_rate_limit_does_not_ask_for_a_person(
    tmp_path: Path, clock: ManualClock
) -> None:
    key = factories.make_api_key(factories.make_provider("acme"))
    until = clock.time_ns() / 1e9 + 30
    Facts(tmp_path, clock).keep([cooldown(key, reason="rate_limit", until_s=until)])
    key.refresh_from_db()
    assert key.state == ApiKey.State.OK


@pytest.mark.django_db
def test_facts_come_back_to_a_worker_that_starts(
    tmp_path: Path, clock: ManualClock
) -> None:
    key = factories.make_api_key(factories.make_provider("acme"))
    facts = Facts(tmp_path, clock)
    now = clock.time_ns() / 1e9
    facts.keep([cooldown(key, reason="quota", until_s=now + 600)])
    assert facts.write_file()
    assert not facts.write_file()
    found = msgspec.json.decode(
        (tmp_path / FACTS_FILE).read_bytes(), type=list[records.Fact]
    )
    assert [fact.payload["reason"] for fact in found] == ["quota"]
    assert Health(clock) is not None
    clock.advance(700)
    facts.keep([cooldown(key, until_s=None)])
    facts.write_file()
    assert json.loads((tmp_path / FACTS_FILE).read_text()) == []


# Deaths


@pytest.mark.django_db
def test_deaths_become_alerts_once_each(tmp_path: Path, clock: ManualClock) -> None:
    note = tmp_path / "deaths.jsonl"
    line = '{"name": "data", "status": -9, "at_s": 1.0}\n'
    note.write_text(line + "garbage\n" + line)
    assert deaths.report(tmp_path, clock) == 2
    assert deaths.report(tmp_path, clock) == 0
    alert = Alert.objects.get()
    assert (alert.kind, alert.key, alert.count) == ("process_died", "data", 2)


@pytest.mark.django_db
def test_deaths_taken_before_a_crash_are_still_reported(
    tmp_path: Path, clock: ManualClock
) -> None:
    taken = tmp_path / "deaths.jsonl.taken"
    taken.write_text('{"name": "console", "status": 1, "at_s": 1.0}\n')
    assert deaths.report(tmp_path, clock) == 1


# Tokens


def make_account(**values: Any) -> Account:
    account = Account.objects.create(
        provider_slug="acme", vendor="static", token_version=3,
        origin="https://api.acme.example.com:443", created_at=timezone.now(), **values,
    )  # fmt: skip
    secrets.seal_for(account, "access_token", "token-123")
    account.save()
    return account


@pytest.mark.django_db
def test_newer_token_is_given_and_a_static_one_is_not_refreshed() -> None:
    account = make_account()
    newer = answer(TokenAsk(account.pk, 2))
    assert newer.credential is not None
    assert newer.credential.token_version == 3
    assert answer(TokenAsk(account.pk, 3)).error == "needs_login"
    assert answer(TokenAsk(account.pk + 1, 3)).error == "gone"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "keeper.sock"
    running = TokenServer(path)
    running.start()
    yield path
    running.close()
    assert not path.exists()


@pytest.mark.django_db(transaction=True)
def test_worker_asks_over_the_socket(server: Path) -> None:
    account = make_account()
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(str(server))
        stream = link.makefile("rwb")
        for question, error in (
            (msgspec.json.encode({"account_id": account.pk, "seen_version": 1}), ""),
            (b"nonsense", "malformed"),
        ):
            stream.write(question + b"\n")
            stream.flush()
            reply = msgspec.json.decode(stream.readline(), type=TokenAnswer)
            assert reply.error == error
        stream.close()


# Going on


def test_failing_duty_is_reported_once_and_goes_on(
    capsys: pytest.CaptureFixture[str], clock: ManualClock
) -> None:
    failures = iter([True, True, True, False, False])
    calls = []

    def work() -> None:
        calls.append(clock.monotonic())
        if next(failures):
            raise OperationalError("server\nclosed the connection")

    schedule = Schedule([Duty("ship the journal", 0.15, work)], clock)
    for _ in range(5):
        clock.advance(schedule.round())
    error = capsys.readouterr().err.splitlines()
    assert error == [
        "pool keeper: cannot ship the journal: server closed the connection; trying "
        "again until it works.",
        "pool keeper: can ship the journal again.",
    ]
    waits = [round(b - a, 2) for a, b in itertools.pairwise(calls)]
    assert waits == [0.5, 1.0, 2.0, 0.15]


def test_duties_keep_their_own_rhythm(clock: ManualClock) -> None:
    seen: list[str] = []
    schedule = Schedule(
        [
            Duty("fast", 1.0, lambda: seen.append("fast")),
            Duty("slow", 3.0, lambda: seen.append("slow")),
        ],
        clock,
    )
    for _ in range(4):
        clock.advance(schedule.round())
    assert seen == ["fast", "slow", "fast", "fast", "fast", "slow"]


def test_only_one_keeper_works_on_a_directory(tmp_path: Path) -> None:
    with only_one(tmp_path) as first, only_one(tmp_path) as second:
        assert first
        assert not second
    with only_one(tmp_path) as third:
        assert third
