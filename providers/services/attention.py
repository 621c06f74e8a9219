"""Notice what changed its state, and keep an alert for each credential out of order.

A provider's state is worked out from several rows when somebody looks, so a change is
found by comparing with the state noted last. The first look at a provider only notes:
nothing has changed yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery

from oauth.models import Account
from poolsite import alerts
from poolsite.clock import Clock, SystemClock
from poolsite.delivery import events, outbox
from poolsite.models import Alert
from poolsite.ui.shell import url_or_empty
from providers import selectors
from providers.models import ApiKey, Provider, StatusChange

ALERT: Final = "credential"
KEPT_DAYS: Final = 90
_FINE: Final = "ok"
_WORDS: Final = {
    ApiKey.State.NEEDS_ATTENTION.value: "The provider refuses it.",
    Account.State.NEEDS_LOGIN.value: "Somebody has to sign in again.",
    ApiKey.State.UNREADABLE.value: "The stored secret cannot be read.",
    ApiKey.State.ORIGIN_CHANGED.value: "The provider's address changed; enter it again.",
}
_CLOCK: Final = SystemClock()


@dataclass(frozen=True)
class Credential:
    """An API key or account that may need a person.

    Shapes:  ``name`` is ``api_key:7`` or ``account:3``; ``state`` is ``ok`` or a word
             of the row.
    """

    provider: Provider
    name: str
    label: str
    state: str
    error: str


def watch(*, clock: Clock = _CLOCK) -> int:
    """Note changes of state, tell the channels, raise and resolve alerts.

    Returns how many states changed.

    Cost:    seven queries while nothing changes.
    """
    providers = selectors.providers_with_counts()
    found = list(_credentials(providers))
    changed = _compare_providers(providers, clock)
    changed += _compare_credentials(found, clock)
    _alert(found, clock)
    _forget(clock.now())
    return changed


def _credentials(providers: list[Provider]) -> list[Credential]:
    """Return the live credentials in use of providers in use; two queries."""
    in_use = {row.pk: row for row in providers if row.enabled}
    keys = ApiKey.objects.filter(deleted_at=None, enabled=True, provider__in=in_use)
    found = [
        Credential(
            in_use[row.provider_id],
            f"api_key:{row.pk}",
            str(row),
            row.state,
            row.last_error,
        )
        for row in keys.order_by("pk")
    ]
    by_slug = {row.slug: row for row in in_use.values()}
    accounts = Account.objects.filter(deleted_at=None, enabled=True).order_by("pk")
    found += [
        Credential(
            by_slug[row.provider_slug],
            f"account:{row.pk}",
            str(row),
            row.state,
            row.last_error,
        )
        for row in accounts
        if row.provider_slug in by_slug and row.state != Account.State.DISABLED
    ]
    return found


def _compare_providers(providers: list[Provider], clock: Clock) -> int:
    last = StatusChange.objects.filter(provider=OuterRef("pk"), credential="")
    noted = dict(
        Provider.objects.filter(deleted_at=None)
        .annotate(noted=Subquery(last.order_by("-pk").values("after")[:1]))
        .values_list("pk", "noted")
    )
    changed = 0
    for row in providers:
        before, after = noted.get(row.pk), selectors.provider_state(row)
        if before == after:
            continue
        reason = row.last_error if after == "degraded" else ""
        change = StatusChange(
            provider=row,
            before=before or "",
            after=after,
            reason=reason[:200],
            at=clock.now(),
        )
        changed += _note(change, clock, is_news=before is not None)
    return changed


def _compare_credentials(found: list[Credential], clock: Clock) -> int:
    """Compare with what was noted; one that was never noted was fine."""
    noted: dict[tuple[int, str], str] = {}
    rows = StatusChange.objects.exclude(credential="").exclude(Exists(_newer()))
    for pk, name, after in rows.values_list("provider_id", "credential", "after"):
        noted[pk, name] = after
    changed = 0
    for each in found:
        before = noted.get((each.provider.pk, each.name), _FINE)
        if before == each.state:
            continue
        change = StatusChange(
            provider=each.provider,
            credential=each.name,
            before=before,
            after=each.state,
            reason=each.error[:200],
            at=clock.now(),
        )
        changed += _note(change, clock, label=each.label)
    return changed


def _newer() -> QuerySet[StatusChange]:
    """Look for a later change of the same provider or credential."""
    return StatusChange.objects.filter(
        provider=OuterRef("provider"),
        credential=OuterRef("credential"),
        pk__gt=OuterRef("pk"),
    )


def _forget(now: datetime) -> None:
    """Drop what is old, but never the state that is in force."""
    old = StatusChange.objects.filter(at__lt=now - timedelta(days=KEPT_DAYS))
    old.filter(Exists(_newer())).delete()


@transaction.atomic
def _note(
    change: StatusChange, clock: Clock, *, label: str = "", is_news: bool = True
) -> int:
    """Write a change down and tell the channels in the same transaction."""
    change.save(force_insert=True)
    if not is_news:
        return 0
    data = {
        "provider": change.provider.slug,
        "name": change.provider.name,
        "before": change.before,
        "after": change.after,
        "reason": change.reason,
    }
    if not change.credential:
        outbox.emit(events.STATUS_CHANGED, data, clock=clock)
        return 1
    more = {"credential": change.credential, "label": label}
    outbox.emit(events.CREDENTIAL_CHANGED, {**data, **more}, clock=clock)
    return 1


def _alert(found: list[Credential], clock: Clock) -> None:
    """Keep one open alert for each credential that needs a person; one query."""
    bad = {each.name: each for each in found if each.state in _WORDS}
    rows = Alert.objects.filter(kind=ALERT, resolved_at=None)
    open_ones = dict(rows.values_list("key", "detail"))
    for name, each in bad.items():
        detail = each.error or _WORDS[each.state]
        # Raised again only when there is something else to say.
        if open_ones.get(name) != detail[:500]:
            _raise(each, detail, clock)
    for name in open_ones.keys() - bad.keys():
        alerts.resolve(ALERT, name, clock=clock)


def _raise(each: Credential, detail: str, clock: Clock) -> None:
    what = "API key" if each.name.startswith("api_key:") else "Account"
    alerts.raise_alert(
        ALERT,
        each.name,
        title=f"{what} {each.label} of {each.provider.name} needs attention",
        detail=detail,
        link=url_or_empty("providers:provider-detail", each.provider.slug),
        clock=clock,
    )
