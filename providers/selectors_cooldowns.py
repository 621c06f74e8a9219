"""Read what is cooling down, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from oauth.models import Account
from providers.models import ApiKey, Fact, Provider, ProviderModel
from providers.routing.remembered import COOLDOWN_FACT
from providers.routing.subjects import Parts, parse

MOST_SHOWN: Final = 200

REASONS: Final = {
    "auth": "The provider refuses the secret",
    "unreadable": "The stored secret cannot be read",
    "quota": "Out of quota or credit",
    "rate_limit": "Too many requests",
    "unavailable": "Overloaded or unavailable",
    "server_error": "Errors of the upstream server",
    "timeout": "No answer in time",
    "connect": "No connection",
    "model": "The model is not served",
}
SCOPES: Final = {
    "provider": "Provider",
    "model": "Model",
    "credential": "Credential",
    "limit": "Credential and model",
    "account": "Vendor account",
    "egress": "Way out",
}


@dataclass(frozen=True)
class Cooldown:
    """One subject that is left alone.

    Shapes:  ``slug`` is blank where no one provider is concerned; ``counts`` are its
             failures by reason, most first. ``is_event`` = many failed alike.
    """

    subject: str
    scope: str
    title: str
    slug: str
    reason: str
    since: datetime | None
    until: datetime
    error: str
    is_event: bool
    model: str = ""
    secret: str = ""
    counts: list[tuple[str, int]] = field(default_factory=list)

    @property
    def scope_words(self) -> str:
        """Name the scope for people."""
        return SCOPES.get(self.scope, self.scope)

    @property
    def reason_words(self) -> str:
        """Name the reason for people."""
        return reason_in_words(self.reason)

    @property
    def needs_person(self) -> bool:
        """Tell whether waiting alone will not help."""
        return self.reason in ("auth", "unreadable") and not self.is_event

    def left_s(self, now: datetime) -> float:
        """Return the seconds until it is tried again."""
        return max(0.0, (self.until - now).total_seconds())


def reason_in_words(reason: str) -> str:
    """Say a kind of failure in words; one nobody knows by its own name."""
    return REASONS.get(reason, reason.replace("_", " "))


@dataclass
class Names:
    """What the numbers in subjects are called."""

    providers: dict[int, Provider] = field(default_factory=dict)
    models: dict[int, ProviderModel] = field(default_factory=dict)
    keys: dict[int, ApiKey] = field(default_factory=dict)
    accounts: dict[int, Account] = field(default_factory=dict)

    @classmethod
    def of(cls, parts: Iterable[Parts]) -> Names:
        """Look up everything that is named; four queries at most."""
        known = list(parts)
        made = cls()
        models = {each.model_id for each in known if each.model_id is not None}
        if models:
            rows = ProviderModel.objects.filter(pk__in=models)
            made.models = {row.pk: row for row in rows.select_related("provider")}
        made.providers = {row.provider.pk: row.provider for row in made.models.values()}
        missing = {each.provider_id for each in known} - {None, *made.providers}
        if missing:
            made.providers |= Provider.objects.in_bulk(missing)
        made.keys = ApiKey.objects.in_bulk(_numbers(known, "api_key"))
        accounts = _numbers(known, "account")
        if accounts:
            made.accounts = Account.objects.in_bulk(accounts)
        return made

    def secret(self, parts: Parts) -> str:
        """Name a credential: its label or mask, never the secret."""
        number = parts.credential_id
        if number is None:
            return "no key"
        if parts.credential_kind == "api_key":
            key = self.keys.get(number)
            return f"key {number}" if key is None else key.label or key.mask
        account = self.accounts.get(number)
        return f"account {number}" if account is None else str(account)


def _numbers(parts: Sequence[Parts], kind: str) -> set[int]:
    return {
        each.credential_id
        for each in parts
        if each.credential_id is not None and each.credential_kind == kind
    }


def cooldowns(*, now: datetime, reason: str = "") -> list[Cooldown]:
    """Return what is cooling, the longest first; at most 200, five queries."""
    rows = Fact.objects.filter(kind=COOLDOWN_FACT, expires_at__gt=now)
    if reason:
        rows = rows.filter(payload__reason=reason)
    known = []
    for row in rows.order_by("-expires_at", "key")[:MOST_SHOWN]:
        parts = parse(row.key)
        if parts is not None:
            known.append((row, parts))
    names = Names.of(parts for _, parts in known)
    return [_cooldown(row, parts, names) for row, parts in known]


def reasons_now(*, now: datetime) -> dict[str, int]:
    """Return how many subjects cool for each reason, most first; one query."""
    rows = Fact.objects.filter(kind=COOLDOWN_FACT, expires_at__gt=now)
    counts: dict[str, int] = {}
    for reason in rows.values_list("payload__reason", flat=True):
        counts[str(reason)] = counts.get(str(reason), 0) + 1
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def table(*, now: datetime) -> list[dict[str, Any]]:
    """Return what is cooling as plain data."""
    return [
        {
            "subject": each.subject,
            "scope": each.scope,
            "title": each.title,
            "provider": each.slug or None,
            "model": each.model or None,
            "credential": each.secret or None,
            "reason": each.reason,
            "since": None if each.since is None else each.since.isoformat(),
            "until": each.until.isoformat(),
            "left_s": round(each.left_s(now), 1),
            "needs_attention": each.needs_person,
            "event": each.is_event,
            "error": each.error or None,
            "failures": dict(each.counts),
        }
        for each in cooldowns(now=now)
    ]


def _cooldown(row: Fact, parts: Parts, names: Names) -> Cooldown:
    payload = row.payload
    model = names.models.get(parts.model_id) if parts.model_id is not None else None
    provider = (
        names.providers.get(parts.provider_id)
        if parts.provider_id is not None
        else None
    )
    if provider is None and model is not None:
        provider = model.provider
    has_secret = parts.scope in ("credential", "limit")
    secret = names.secret(parts) if has_secret else ""
    return Cooldown(
        subject=row.key,
        scope=parts.scope,
        title=_title(parts, provider, model, secret),
        slug="" if provider is None or provider.deleted_at else provider.slug,
        reason=str(payload.get("reason", "")),
        since=_moment(payload.get("since_s")),
        until=row.expires_at or row.at,
        error=str(payload.get("error", ""))[:200],
        is_event=payload.get("is_event") is True,
        model="" if model is None else model.model_id,
        secret=secret,
        counts=counts_of(payload),
    )


def counts_of(payload: dict[str, Any]) -> list[tuple[str, int]]:
    """Return failures by reason, most first."""
    counts = payload.get("counts")
    if not isinstance(counts, dict):
        return []
    pairs = [(str(k), v) for k, v in counts.items() if isinstance(v, int)]
    return sorted(pairs, key=lambda each: (-each[1], each[0]))


def _title(
    parts: Parts, provider: Provider | None, model: ProviderModel | None, secret: str
) -> str:
    """Name a subject as people would."""
    who = "A removed provider" if provider is None else provider.name
    what = "a removed model" if model is None else model.model_id
    return {
        "provider": who,
        "model": f"{what} at {who}",
        "credential": f"{secret} at {who}",
        "limit": f"{what} with {secret} at {who}",
        "account": f"Account {parts.account} at {who}",
        "egress": "Everything in the cloud: nobody could be reached",
    }[parts.scope]


def _moment(seconds: Any) -> datetime | None:
    if not isinstance(seconds, int | float) or seconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None
