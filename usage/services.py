"""Create, change, rotate and revoke client keys; set their budgets."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.client_keys import ParsedKey, new_client_key
from poolsite.clock import Clock, SystemClock
from poolsite.columns import ColumnError, check_columns, check_time_zone
from poolsite.crypto import Peppers
from usage.models import Budget, ClientKey, Team

_CLOCK = SystemClock()
EDITABLE = frozenset(
    {
        "name", "model_access", "models_allowed", "provider_access",
        "providers_allowed", "ip_allow", "rpm", "tpm", "tpd", "concurrency",
        "window_requests", "window_s", "assumed_output_tokens", "unpriced",
        "expires_at", "tags", "team", "owner", "default_mode", "default_strategy",
        "overrides_allowed", "log_level",
    }
)  # fmt: skip
GRACES = {
    "now": timedelta(0),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}


@dataclass(frozen=True)
class BudgetTerms:
    """How much may be spent in which window; soft lets the crossing call finish.

    Units: nano-USD for each window; from ``warn_nano_usd`` on answers carry a warning,
        None for none.
    """

    amount_nano_usd: int
    window: str = Budget.Window.MONTH
    hard: bool = True
    time_zone: str = "UTC"
    warn_nano_usd: int | None = None


MODES: Final = ("auto", "cloud", "local")
STRATEGIES: Final = (
    "priority", "cost", "latency", "round_robin", "weighted", "least_busy",
    "quota_aware",
)  # fmt: skip
OVERRIDES: Final = ("strategy", "mode", "exclude", "prefer")
_WORDS: Final = {
    "default_mode": ("", *MODES),
    "default_strategy": ("", *STRATEGIES),
    "log_level": ("metadata", "bodies"),
    "unpriced": tuple(ClientKey.Unpriced.values),
}
_LIMITS: Final = ("rpm", "tpm", "tpd", "concurrency", "window_requests", "window_s")
_RICHEST: Final = 10**18  # a billion dollars


class UsageError(Exception):
    """A change to keys or budgets is refused; ``field`` names the input."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@one_change
def create_key(
    actor: Actor, name: str, *, clock: Clock = _CLOCK, **values: Any
) -> tuple[ClientKey, str]:
    """Create a client key; the text is returned once and stored nowhere.

    Errors:  UsageError for a name in use, unknown values or an expiry in the past.
    """
    made = new_client_key()
    key = ClientKey(created_at=clock.now())
    _assign(key, {**values, "name": name}, clock)
    _put_secret(key, made)
    key.save(force_insert=True)
    version.bump(key)
    audit.record(actor, "client_key.create", key, after=_shown(key))
    return key, made.key.reveal()


@one_change
def update_key(
    actor: Actor, key: ClientKey, *, clock: Clock = _CLOCK, **values: Any
) -> ClientKey:
    """Change what a key may do.

    Errors:  UsageError naming the field; for a revoked key, which stays revoked.
    """
    key.refresh_from_db()
    _require_live(key)
    before = _shown(key)
    _assign(key, values, clock)
    key.save(update_fields=list(values))
    version.bump(key)
    after = _shown(key)
    changed = [name for name in after if after[name] != before[name]]
    audit.record(
        actor,
        "client_key.update",
        key,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )
    return key


@one_change
def rotate_key(
    actor: Actor, key: ClientKey, *, grace: str = "now", clock: Clock = _CLOCK
) -> str:
    """Give the key a new text; the old one works until the grace is over.

    Errors:  UsageError for a revoked key or an unknown grace.
    """
    if grace not in GRACES:
        raise UsageError(f"The grace is one of {', '.join(GRACES)}.", field="grace")
    key.refresh_from_db()
    _require_live(key)
    gone = [key.previous_public_id] if key.previous_public_id else []
    if GRACES[grace]:
        key.previous_public_id = key.public_id
        key.previous_digest = key.digest
        key.previous_pepper_id = key.pepper_id
        key.grace_until = clock.now() + GRACES[grace]
    else:
        gone.append(key.public_id)
        key.previous_public_id = key.previous_digest = key.previous_pepper_id = ""
        key.grace_until = None
    made = new_client_key()
    _put_secret(key, made)
    key.save(update_fields=_SECRET_COLUMNS)
    version.bump_gone("client_key", gone, clock=clock)
    version.bump(key)
    audit.record(actor, "client_key.rotate", key, after={"grace": grace})
    return made.key.reveal()


@one_change
def revoke_key(actor: Actor, key: ClientKey, *, clock: Clock = _CLOCK) -> None:
    """Revoke a key for good; every worker refuses it within 2 s."""
    key.refresh_from_db()
    if key.revoked_at is None:
        key.revoked_at = clock.now()
        key.save(update_fields=["revoked_at"])
        version.bump(key)
        audit.record(actor, "client_key.revoke", key)


@one_change
def create_team(
    actor: Actor, *, slug: str, name: str = "", clock: Clock = _CLOCK
) -> Team:
    """Create a team: keys that share budgets and reports.

    Errors:  UsageError for an id that is no slug or is in use.
    """
    team = Team(slug=slug, name=name.strip() or slug, created_at=clock.now())
    _check_columns(team, ["slug", "name"])
    if not slug.replace("-", "").replace("_", "").isalnum() or not slug.isascii():
        raise UsageError(
            "Use letters, digits, dash and underscore for the team's id.", field="slug"
        )
    if Team.objects.filter(slug=slug).exists():
        raise UsageError(f"A team {slug} exists already.", field="slug")
    team.save(force_insert=True)
    version.bump(team)
    audit.record(actor, "team.create", team, after={"slug": slug, "name": team.name})
    return team


@one_change
def set_key_budget(
    actor: Actor,
    key: ClientKey,
    terms: BudgetTerms | None,
    *,
    clock: Clock = _CLOCK,
) -> Budget | None:
    """Set the key's own budget, or take it away with None.

    Shapes:  of a key with several budgets, the oldest.
    Errors:  UsageError for a negative amount, unknown window or time zone.
    """
    budget = key.budget_set.filter(scope=Budget.Scope.KEY).order_by("pk").first()
    if terms is None:
        if budget is not None:
            _remove(actor, budget, clock)
        return None
    if budget is None:
        budget = Budget(scope=Budget.Scope.KEY, client_key=key, created_at=clock.now())
    return put_terms(actor, budget, terms)


@one_change
def remove_budget(actor: Actor, budget: Budget, *, clock: Clock = _CLOCK) -> None:
    """Take a budget away; what was spent stays in the ledger."""
    if Budget.objects.filter(pk=budget.pk).exists():
        _remove(actor, budget, clock)


def put_terms(actor: Actor, budget: Budget, terms: BudgetTerms) -> Budget:
    """Give a budget its terms, within a change that is under way.

    Errors:  UsageError for a negative amount, unknown window or time zone.
    """
    _check_terms(terms)
    before = (
        {name: getattr(budget, name) for name in asdict(terms)} if budget.pk else None
    )
    for name, value in asdict(terms).items():
        setattr(budget, name, value)
    budget.save()
    version.bump(budget, *([budget.client_key] if budget.client_key else []))
    audit.record(actor, "budget.set", budget, before=before, after=asdict(terms))
    return budget


def _remove(actor: Actor, budget: Budget, clock: Clock) -> None:
    # Keys go on naming it until they change; what is unknown does not bind.
    version.bump_gone("budget", [str(budget.pk)], clock=clock)
    audit.record(actor, "budget.remove", budget)
    budget.delete()


def _check_terms(terms: BudgetTerms) -> None:
    if not 0 <= terms.amount_nano_usd <= _RICHEST:
        raise UsageError("A budget is neither negative nor absurd.", field="budget")
    warns = terms.warn_nano_usd
    if warns is not None and not 0 < warns <= (terms.amount_nano_usd or _RICHEST):
        raise UsageError(
            "What warns is above zero and at most what the budget allows.", field="warn"
        )
    if terms.window not in Budget.Window.values:
        raise UsageError(
            f"The window is one of {', '.join(Budget.Window.values)}.", field="window"
        )
    try:
        check_time_zone(terms.time_zone)
    except ColumnError as exc:
        raise UsageError(str(exc), field=exc.field) from exc


def _put_secret(key: ClientKey, made: ParsedKey) -> None:
    pepper_id, digest = Peppers(settings.ROOTS.peppers).digest(made.key)
    key.public_id = made.public_id
    key.digest = digest
    key.pepper_id = pepper_id
    key.last4 = made.last4


_SECRET_COLUMNS: Final = (
    "public_id", "digest", "pepper_id", "last4", "previous_public_id",
    "previous_digest", "previous_pepper_id", "grace_until",
)  # fmt: skip


def _require_live(key: ClientKey) -> None:
    if key.revoked_at is not None:
        raise UsageError("This key is revoked; create a new one.")


def _assign(key: ClientKey, values: dict[str, Any], clock: Clock) -> None:
    unknown = set(values) - EDITABLE
    if unknown:
        raise UsageError(f"Unknown settings: {', '.join(sorted(unknown))}.")
    for name, value in values.items():
        setattr(key, name, value)
    if isinstance(values.get("name"), str):
        key.name = key.name.strip()
    _check_columns(key, list(values))
    _check_name(key)
    _check_words(values)
    _check_limits(key, values, clock)


def _check_columns(row: ClientKey | Team, names: list[str]) -> None:
    try:
        check_columns(row, names)
    except ColumnError as exc:
        raise UsageError(str(exc), field=exc.field) from exc


def _check_name(key: ClientKey) -> None:
    if not key.name:
        raise UsageError("The key needs a name.", field="name")
    taken = ClientKey.objects.filter(name=key.name, revoked_at=None)
    if taken.exclude(pk=key.pk).exists():
        raise UsageError(f"A key named {key.name} exists already.", field="name")


def _check_words(values: dict[str, Any]) -> None:
    for name, words in _WORDS.items():
        if name in values and values[name] not in words:
            known = ", ".join(word for word in words if word)
            raise UsageError(f"Use one of {known}.", field=name)
    strange = [
        word for word in values.get("overrides_allowed") or () if word not in OVERRIDES
    ]
    if strange:
        raise UsageError(
            f"A request may override {', '.join(OVERRIDES)}.", field="overrides_allowed"
        )


def _check_limits(key: ClientKey, values: dict[str, Any], clock: Clock) -> None:
    expires: datetime | None = values.get("expires_at")
    if expires is not None and expires <= clock.now():
        raise UsageError("The expiry lies in the past.", field="expires_at")
    for name in _LIMITS:
        if values.get(name) == 0:
            raise UsageError(
                "A limit is at least 1; leave it out for none.", field=name
            )
    if (key.window_requests is None) != (key.window_s is None):
        raise UsageError(
            "A window needs its requests and its seconds.", field="window_s"
        )
    for access, names, what in (
        ("model_access", "models_allowed", "models"),
        ("provider_access", "providers_allowed", "providers"),
    ):
        if getattr(key, access) == ClientKey.Access.ONLY and not getattr(key, names):
            raise UsageError(f"Name the {what}, or choose All or None.", field=names)
    for entry in key.ip_allow:
        try:
            ipaddress.ip_network(entry, strict=False)
        except ValueError as exc:
            raise UsageError(
                f"{entry} is neither an address nor a network.", field="ip_allow"
            ) from exc


def _shown(key: ClientKey) -> dict[str, Any]:
    shown = sorted(EDITABLE - {"team", "owner"})
    plain = {name: getattr(key, name) for name in shown}
    return {**plain, "team": key.team_id, "owner": key.owner_id}
