"""Prove that a message arrives, or is tried for a day and then seen to have failed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from poolsite import alerts
from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from poolsite.delivery import channels, digest, outbox, sending, services
from poolsite.delivery.rows import AlertChannel, AlertDelivery
from poolsite.destinations import Vetter
from poolsite.models import Alert
from tests.poolsite.delivery.conftest import PATH, make_hook, make_mail
from tests.poolsite.delivery.smtp import MailServer
from tests.vendors.server import Asked, Reply, Vendor

pytestmark = pytest.mark.django_db
_State = AlertDelivery.State


def queued(channel: AlertChannel, clock: ManualClock) -> AlertDelivery:
    """Let one message wait for a channel."""
    line = {"event": "provider.created", "count": 1, "data": {"name": "P"}}
    data = {"events": [line], "more": {}, "untold": 0, "open_alerts": 0}
    return digest.queue(channel, "digest", data, clock=clock)


def test_failed_message_is_tried_again_later_under_the_same_id(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    receiver.on("POST", PATH, Reply(b"", status=503))
    row = queued(hook, clock)
    assert sending.run(clock=clock) == 0
    row.refresh_from_db()
    assert (row.state, row.attempts) == (_State.WAITING, 1)
    assert row.last_error == "It answered 503."
    assert 24 <= (row.due_at - clock.now()).total_seconds() <= 36
    sending.run(clock=clock)
    assert len(receiver.asked) == 1
    receiver.on("POST", PATH, Reply(b"", status=200))
    clock.advance(36)
    assert sending.run(clock=clock) == 1
    ids = {asked.headers["x-pool-event-id"] for asked in receiver.asked}
    assert ids == {str(row.event_id)}
    assert {asked.json()["id"] for asked in receiver.asked} == ids
    hook.refresh_from_db()
    assert (hook.last_error, hook.delivered_at) == ("", clock.now())


def test_waits_grow_to_six_hours_and_are_shaken() -> None:
    middle = [sending.retry_after_s(n, lambda: 0.5) for n in (1, 2, 3, 10, 11, 40)]
    assert middle == [30, 60, 120, 15_360, 21_600, 21_600]
    assert sending.retry_after_s(1, lambda: 0.0) == 24
    assert sending.retry_after_s(1, lambda: 1.0) == 36


def test_message_is_given_up_after_a_day_and_that_is_an_alert(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    receiver.on("POST", PATH, Reply(b"", status=500))
    row = queued(hook, clock)
    start = clock.now()
    while row.state == _State.WAITING:
        clock.advance(max(0.0, (row.due_at - clock.now()).total_seconds()))
        sending.run(clock=clock)
        row.refresh_from_db()
    assert row.state == _State.GAVE_UP
    assert (clock.now() - start).total_seconds() <= sending.GIVE_UP_S
    assert 10 <= row.attempts <= 16
    [alert] = Alert.objects.all()
    assert (alert.kind, alert.title) == ("alert_channel", "Alerts do not reach Hook")
    # It is not told that it is itself out of order.
    assert hook.news.count() == 0
    receiver.on("POST", PATH, Reply(b"", status=200))
    queued(hook, clock)
    assert sending.run(clock=clock) == 1
    alert.refresh_from_db()
    assert alert.resolved_at is not None


def test_two_workers_never_send_one_message_at_once(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    row = queued(hook, clock)
    other = AlertDelivery.objects.select_related("channel").get(pk=row.pk)
    again: list[AlertDelivery] = []

    def meanwhile(asked: Asked) -> Reply:
        return Reply(b"", status=204)

    receiver.on("POST", PATH, meanwhile)
    again.append(sending.send_one(row, clock=clock))
    again.append(sending.send_one(other, clock=clock))
    assert len(receiver.asked) == 1
    assert {each.state for each in again} == {_State.DELIVERED}


def test_message_under_way_is_left_alone_until_its_worker_is_dead(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    row = queued(hook, clock)
    claimed = AlertDelivery.objects.filter(pk=row.pk)
    claimed.update(state=_State.SENDING, claimed_at=clock.now(), attempts=1)
    clock.advance(sending.DEAD_S - 1)
    assert sending.run(clock=clock) == 0
    clock.advance(1)
    assert sending.run(clock=clock) == 1
    assert claimed.get().attempts == 2


def test_result_of_a_worker_taken_for_dead_is_not_written(
    hook: AlertChannel, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = queued(hook, clock)

    def slow(parcel: channels.Parcel, clock: ManualClock) -> Future[str]:
        late = clock.now()
        clock.advance(1)
        AlertDelivery.objects.filter(pk=row.pk).update(claimed_at=clock.now())
        assert late < clock.now()
        failed: Future[str] = Future()
        failed.set_result("It answered 500.")
        return failed

    monkeypatch.setattr(channels, "start", slow)
    assert sending.run(clock=clock) == 0
    row.refresh_from_db()
    assert (row.state, row.last_error) == (_State.SENDING, "")


def test_two_workers_never_gather_the_same_lines(
    hook: AlertChannel, clock: ManualClock
) -> None:
    outbox.emit("provider.created", {"provider": "p"}, clock=clock)
    clock.advance(60)
    stale = list(AlertChannel.objects.all())
    assert digest.gather(clock=clock) == 1
    AlertDelivery.objects.update(state=_State.DELIVERED)
    outbox.emit("provider.created", {"provider": "q"}, clock=clock)
    assert not digest._gather(stale[0], clock, now_too=True)
    assert hook.news.count() == 1


def test_private_address_is_refused_without_a_connection(
    hook: AlertChannel,
    receiver: Vendor,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "vetter", Vetter)
    with pytest.raises(services.ChannelError):
        make_hook("http://127.0.0.1:9/x", clock=clock, name="Other")
    with pytest.raises(services.ChannelError):
        make_hook("http://169.254.169.254/latest", clock=clock, name="Other")
    row = sending.send_one(queued(hook, clock), clock=clock)
    assert row.state == _State.WAITING
    assert row.last_error
    assert receiver.asked == []


def test_name_of_a_private_address_is_refused_where_it_connects(
    receiver: Vendor, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "vetter", Vetter)
    url = receiver.root.replace("127.0.0.1", "localhost") + PATH
    row = sending.send_one(queued(make_hook(url, clock=clock), clock), clock=clock)
    assert row.state == _State.WAITING
    assert receiver.asked == []


def test_redirect_is_not_followed(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    to = {"location": receiver.root + "/other"}
    receiver.on("POST", PATH, Reply(b"", status=307, headers=to))
    row = sending.send_one(queued(hook, clock), clock=clock)
    assert row.last_error == "It redirects (307); redirects are not followed."
    assert receiver.paths() == [f"POST {PATH}"]


def test_receiver_that_never_answers_costs_its_deadline_and_no_more(
    hook: AlertChannel, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(channels, "_GRACE_S", 0.01)
    monkeypatch.setattr(channels, "start", lambda *_: Future())
    row = sending.send_one(queued(hook, clock), clock=clock)
    assert (row.state, row.last_error) == (_State.WAITING, channels.LATE)


def test_dead_channel_blocks_neither_alerts_nor_other_channels(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    dead = make_hook("http://127.0.0.1:1/x", clock=clock, name="Dead")
    assert alerts.raise_alert("k", "a", title="A", severity="error", clock=clock)
    assert sending.run(clock=clock) == 1
    assert len(receiver.asked) == 1
    dead.refresh_from_db()
    assert dead.last_error == "Nothing answers at this address."


def test_huge_answer_is_not_read_to_its_end(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    receiver.on("POST", PATH, Reply(b"x" * 1_000_000))
    row = sending.send_one(queued(hook, clock), clock=clock)
    assert row.last_error == "Its answer is too large for one nobody reads."


def test_no_channel_costs_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(1):
        outbox.emit("provider.created", {})


@pytest.mark.parametrize("secret", ["", "short"])
def test_secret_that_protects_nothing_signs_nothing(secret: str) -> None:
    from poolsite.delivery import signing

    with pytest.raises(ValueError, match="too short"):
        signing.signature(secret, b"{}", 1)


# Mail


@pytest.fixture
def mail_to(settings: Any) -> Callable[[MailServer], None]:
    def use(server: MailServer) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST = "127.0.0.1"
        settings.EMAIL_PORT = server.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False

    return use


def test_mail_arrives_with_every_line_and_a_safe_subject(
    mail_to: Callable[[MailServer], None], clock: ManualClock
) -> None:
    make_mail(clock=clock, addresses=["a@example.com", "b@example.com"])
    hostile = "Evil\r\nBcc: x@y.co \u202e<script>"
    alerts.raise_alert("k", "a", title=hostile, detail="D\nE", link="/x/", clock=clock)
    alerts.raise_alert("k", "b", title="Second", clock=clock)
    clock.advance(299)
    with MailServer() as server:
        mail_to(server)
        assert sending.run(clock=clock) == 0
        clock.advance(1)
        assert sending.run(clock=clock) == 1
    [message] = server.messages
    assert server.envelopes == [["a@example.com", "b@example.com"]]
    assert message["subject"] == "[Provider Pool] Evil Bcc: x@y.co <script> and 1 more"
    assert message["bcc"] is None
    text = message.get_content()
    assert "Second" in text
    assert "D E" in text
    assert "/settings/alerts/" in text
    assert message["x-pool-event-id"] == str(AlertDelivery.objects.get().event_id)


def test_refusing_mail_server_is_said_and_tried_again(
    mail_to: Callable[[MailServer], None], clock: ManualClock
) -> None:
    channel = make_mail(clock=clock)
    with MailServer(refusing=True) as server:
        mail_to(server)
        row = sending.send_one(queued(channel, clock), clock=clock)
    assert row.state == _State.WAITING
    assert row.last_error == "The mail server takes none of these addresses."


def test_mail_without_a_server_says_which_variable(
    settings: Any, clock: ManualClock
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    row = services.send_test(SYSTEM, make_mail(clock=clock), clock=clock)
    assert row.state == _State.GAVE_UP
    assert row.last_error == "No mail server is set: POOL_EMAIL_URL."


# The test button


def test_test_takes_the_real_path_and_is_marked(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    row = services.send_test(SYSTEM, hook, clock=clock)
    assert row.state == _State.DELIVERED
    assert receiver.last.json()["event"] == "test"
    assert "x-pool-signature" in receiver.last.headers


def test_failed_test_is_not_tried_again(
    hook: AlertChannel, receiver: Vendor, clock: ManualClock
) -> None:
    receiver.on("POST", PATH, Reply(b"", status=418))
    row = services.send_test(SYSTEM, hook, clock=clock)
    assert (row.state, row.last_error) == (_State.GAVE_UP, "It answered 418.")


def test_switched_off_channel_forgets_what_waits(
    hook: AlertChannel, clock: ManualClock
) -> None:
    alerts.raise_alert("k", "a", title="A", clock=clock)
    row = queued(hook, clock)
    services.set_channel_enabled(SYSTEM, hook, enabled=False, clock=clock)
    row.refresh_from_db()
    assert (row.state, hook.news.count()) == (_State.GAVE_UP, 0)
    alerts.raise_alert("k", "b", title="B", clock=clock)
    assert hook.news.count() == 0
