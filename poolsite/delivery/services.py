"""Change channels, and decide about alerts by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from poolsite import audit, secrets
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.delivery import channels, digest, events, outbox, sending, signing
from poolsite.delivery.rows import AlertChannel, AlertDelivery
from poolsite.destinations import EgressError
from poolsite.models import Alert

MOST_CHANNELS: Final = 20
MOST_ADDRESSES: Final = 20
DIGEST_S: Final = {AlertChannel.Kind.WEBHOOK: 60, AlertChannel.Kind.MAIL: 300}
LONGEST_DIGEST_S: Final = 86_400
_CLOCK: Final = SystemClock()
_TEST_TEXT: Final = "This is a test. Nothing happened."


class ChannelError(Exception):
    """A channel cannot be set so; ``field`` names the value."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@dataclass(frozen=True)
class Terms:
    """What a person sets of a channel; None leaves a value as it is.

    Shapes:  ``url`` and ``secret`` are of webhooks, ``addresses`` of mail. A blank
             ``url`` keeps the stored one.
    Units:   ``digest_s`` in seconds.
    """

    name: str | None = None
    url: str | None = None
    secret: str | None = None
    addresses: Sequence[str] | None = None
    events: Sequence[str] | None = None
    least_severity: str | None = None
    digest_s: int | None = None


@one_change
def create_channel(
    actor: Actor, kind: str, terms: Terms, *, clock: Clock = _CLOCK
) -> tuple[AlertChannel, str]:
    """Add a channel; return it and its signing secret, which is never shown again.

    Errors:  ChannelError naming the field.
    """
    if AlertChannel.objects.count() >= MOST_CHANNELS:
        raise ChannelError(f"There are {MOST_CHANNELS} channels already.")
    if kind not in AlertChannel.Kind.values:
        raise ChannelError("A channel is a webhook or mail.", field="kind")
    channel = AlertChannel(
        kind=kind,
        events=list(events.ALERTS),
        digest_s=DIGEST_S[AlertChannel.Kind(kind)],
        created_at=clock.now(),
    )
    _assign(channel, terms)
    channel.save(force_insert=True)
    secret = _seal(channel, terms, is_new=True)
    channel.save()
    audit.record(actor, "alert_channel.create", channel, after=_shown(channel))
    return channel, secret


@one_change
def change_channel(actor: Actor, channel: AlertChannel, terms: Terms) -> AlertChannel:
    """Change what is given; a blank URL keeps the stored one.

    Errors:  ChannelError naming the field.
    """
    channel = AlertChannel.objects.get(pk=channel.pk)
    before = _shown(channel)
    _assign(channel, terms)
    _seal(channel, terms, is_new=False)
    channel.save()
    audit.record(
        actor, "alert_channel.update", channel, before=before, after=_shown(channel)
    )
    return channel


@one_change
def rotate_secret(actor: Actor, channel: AlertChannel) -> str:
    """Give a webhook a new signing secret and return it, once.

    Errors:  ChannelError for mail, which is not signed.
    """
    channel = AlertChannel.objects.get(pk=channel.pk)
    if channel.kind != AlertChannel.Kind.WEBHOOK:
        raise ChannelError("Mail is not signed.")
    made = signing.new_secret()
    secrets.seal_for(channel, "secret", made)
    channel.save(update_fields=["secret", "secret_kid"])
    audit.record(actor, "alert_channel.rotate", channel)
    return made


@one_change
def set_channel_enabled(
    actor: Actor, channel: AlertChannel, *, enabled: bool, clock: Clock = _CLOCK
) -> None:
    """Switch a channel on or off; off forgets what waits for it."""
    AlertChannel.objects.filter(pk=channel.pk).update(enabled=enabled)
    if not enabled:
        channel.news.all().delete()
        channel.deliveries.filter(state=AlertDelivery.State.WAITING).update(
            state=AlertDelivery.State.GAVE_UP,
            ended_at=clock.now(),
            last_error="The channel was switched off.",
        )
        _close_its_alert(channel, clock)
    verb = "enable" if enabled else "disable"
    audit.record(actor, f"alert_channel.{verb}", channel)


@one_change
def remove_channel(
    actor: Actor, channel: AlertChannel, *, clock: Clock = _CLOCK
) -> None:
    """Remove a channel with what waits for it and what it was sent."""
    audit.record(actor, "alert_channel.remove", channel)
    _close_its_alert(channel, clock)
    AlertChannel.objects.filter(pk=channel.pk).delete()


def send_test(
    actor: Actor, channel: AlertChannel, *, clock: Clock = _CLOCK
) -> AlertDelivery:
    """Send a message marked as a test through the real path; return how it ended.

    Cost:    one outbound call, eleven seconds at most.
    """
    delivery = _queue_test(actor, channel, clock=clock)
    return sending.send_one(delivery, clock=clock)


@one_change
def _queue_test(actor: Actor, channel: AlertChannel, *, clock: Clock) -> AlertDelivery:
    audit.record(actor, "alert_channel.test", channel)
    data = {"message": _TEST_TEXT, "by": actor.label}
    return digest.queue(channel, events.TEST, data, clock=clock)


def send_now(actor: Actor, *, clock: Clock = _CLOCK) -> int:
    """Send all that waits, also what is to be tried later; return what arrived."""
    audit.record(actor, "alert.send", clock=clock)
    return sending.run(now_too=True, clock=clock)


@one_change
def resolve_alert(actor: Actor, alert: Alert, *, clock: Clock = _CLOCK) -> bool:
    """Close an alert by hand; what is still wrong raises it anew."""
    open_one = Alert.objects.filter(pk=alert.pk, resolved_at=None)
    if not open_one.update(resolved_at=clock.now()):
        return False
    outbox.tell(Alert.objects.get(pk=alert.pk), events.RESOLVED, clock=clock)
    audit.record(actor, "alert.resolve", alert)
    return True


@one_change
def acknowledge_alert(actor: Actor, alert: Alert, *, clock: Clock = _CLOCK) -> bool:
    """Note who has seen an open alert; it stays open until it is over."""
    seen = Alert.objects.filter(pk=alert.pk, resolved_at=None, acknowledged_at=None)
    who = actor.label[:254]
    if not seen.update(acknowledged_at=clock.now(), acknowledged_by=who):
        return False
    audit.record(actor, "alert.acknowledge", alert)
    return True


def _close_its_alert(channel: AlertChannel, clock: Clock) -> None:
    Alert.objects.filter(
        kind=outbox.ABOUT_CHANNELS, key=str(channel.pk), resolved_at=None
    ).update(resolved_at=clock.now())


def _assign(channel: AlertChannel, terms: Terms) -> None:
    if terms.name is not None or not channel.name:
        channel.name = _name(channel, terms.name or "")
    if terms.events is not None:
        unknown = sorted(set(terms.events) - set(events.NAMES))
        if unknown or not terms.events:
            raise ChannelError("Choose what it is told.", field="events")
        channel.events = [name for name in events.NAMES if name in terms.events]
    if terms.least_severity is not None:
        if terms.least_severity not in Alert.Severity.values:
            raise ChannelError("Choose a severity.", field="least_severity")
        channel.least_severity = terms.least_severity
    if terms.digest_s is not None:
        if not 0 <= terms.digest_s <= LONGEST_DIGEST_S:
            raise ChannelError("Gather for up to a day.", field="digest_s")
        channel.digest_s = terms.digest_s
    if channel.kind == AlertChannel.Kind.MAIL:
        _assign_addresses(channel, terms.addresses)


def _name(channel: AlertChannel, given: str) -> str:
    name = " ".join(given.split())
    if not name or len(name) > 80 or not name.isprintable():
        raise ChannelError("A name has 1 to 80 characters.", field="name")
    if AlertChannel.objects.filter(name=name).exclude(pk=channel.pk).exists():
        raise ChannelError(f"A channel named {name} exists already.", field="name")
    return name


def _assign_addresses(channel: AlertChannel, given: Sequence[str] | None) -> None:
    if given is not None:
        found = list(dict.fromkeys(each.strip() for each in given if each.strip()))
        if len(found) > MOST_ADDRESSES:
            raise ChannelError(
                f"At most {MOST_ADDRESSES} addresses.", field="addresses"
            )
        for each in found:
            try:
                validate_email(each)
            except ValidationError as exc:
                raise ChannelError(
                    f"{each} is not a mail address.", field="addresses"
                ) from exc
        channel.addresses = found
    if not channel.addresses:
        raise ChannelError("Name at least one address.", field="addresses")


def _seal(channel: AlertChannel, terms: Terms, *, is_new: bool) -> str:
    """Encrypt the URL and the signing secret; the row has its id by now."""
    if channel.kind == AlertChannel.Kind.MAIL:
        return ""
    if terms.url or is_new:
        _seal_url(channel, (terms.url or "").strip())
    if not terms.secret and not is_new:
        return ""
    chosen = terms.secret or signing.new_secret()
    if len(chosen) < signing.SHORTEST_SECRET:
        raise ChannelError(
            f"A signing secret has at least {signing.SHORTEST_SECRET} characters.",
            field="secret",
        )
    secrets.seal_for(channel, "secret", chosen)
    return chosen


def _seal_url(channel: AlertChannel, url: str) -> None:
    if not url:
        raise ChannelError("A webhook needs a URL.", field="url")
    try:
        to = channels.vetter().check_url(url, frozenset())
    except (EgressError, ValueError) as exc:
        raise ChannelError(str(exc), field="url") from exc
    channel.target_origin = to.origin
    secrets.seal_for(channel, "target", url)


def _shown(channel: AlertChannel) -> dict[str, Any]:
    return {
        "kind": channel.kind,
        "name": channel.name,
        "origin": channel.target_origin,
        "addresses": channel.addresses,
        "events": channel.events,
        "least_severity": channel.least_severity,
        "digest_s": channel.digest_s,
    }
