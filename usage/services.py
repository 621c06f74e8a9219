"""Create, change, rotate and revoke client keys; set budgets."""

from __future__ import annotations

import zoneinfo
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.client_keys import ParsedKey, new_client_key
from poolsite.clock import Clock, SystemClock
from poolsite.crypto import Peppers
from usage.models import Budget, ClientKey

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
    """How much may be spent in which window; ``hard`` refuses, soft only warns.

    Units: nano-USD for each window.
    """

    amount_nano_usd: int
    window: str = Budget.Window.MONTH
    hard: bool = True
    time_zone: str = "UTC"


class UsageError(Exception):
    """A change to keys or budgets is refused; ``field`` names the input."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@transaction.atomic
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
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError as exc:
        raise UsageError(
            f"A key named {key.name} exists already.", field="name"
        ) from exc
    version.bump(key)
    audit.record(actor, "client_key.create", key, after=_shown(key))
    return key, made.key.reveal()


@transaction.atomic
def update_key(
    actor: Actor, key: ClientKey, *, clock: Clock = _CLOCK, **values: Any
) -> ClientKey:
    """Change what a key may do.

    Errors:  UsageError naming the field.
    """
    before = _shown(key)
    _assign(key, values, clock)
    try:
        with transaction.atomic():
            key.save()
    except IntegrityError as exc:
        raise UsageError(
            f"A key named {key.name} exists already.", field="name"
        ) from exc
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


@transaction.atomic
def rotate_key(
    actor: Actor, key: ClientKey, *, grace: str = "now", clock: Clock = _CLOCK
) -> str:
    """Give the key a new text; the old one works until the grace is over.

    Errors:  UsageError for a revoked key or an unknown grace.
    """
    if grace not in GRACES:
        raise UsageError(f"The grace is one of {', '.join(GRACES)}.", field="grace")
    if key.revoked_at is not None:
        raise UsageError("A revoked key cannot be rotated; create a new one.")
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
    key.save()
    version.bump_gone("client_key", gone, clock=clock)
    version.bump(key)
    audit.record(actor, "client_key.rotate", key, after={"grace": grace})
    return made.key.reveal()


@transaction.atomic
def revoke_key(actor: Actor, key: ClientKey, *, clock: Clock = _CLOCK) -> None:
    """Revoke a key for good; every worker refuses it within 2 s."""
    if key.revoked_at is None:
        key.revoked_at = clock.now()
        key.save(update_fields=["revoked_at"])
        version.bump(key)
        audit.record(actor, "client_key.revoke", key)


@transaction.atomic
def set_key_budget(
    actor: Actor,
    key: ClientKey,
    terms: BudgetTerms | None,
    *,
    clock: Clock = _CLOCK,
) -> Budget | None:
    """Set the key's own budget, or take it away with None.

    Errors:  UsageError for a negative amount, unknown window or time zone.
    """
    budget = key.budget_set.filter(scope=Budget.Scope.KEY).first()
    if terms is None:
        if budget is not None:
            version.bump_gone("budget", [str(budget.pk)], clock=clock)
            audit.record(actor, "budget.remove", budget)
            budget.delete()
            version.bump(key)
        return None
    _check_terms(terms)
    if budget is None:
        budget = Budget(scope=Budget.Scope.KEY, client_key=key, created_at=clock.now())
    before = (
        {"amount_nano_usd": budget.amount_nano_usd, "window": budget.window}
        if budget.pk
        else None
    )
    for name, value in asdict(terms).items():
        setattr(budget, name, value)
    budget.save()
    version.bump(budget, key)
    audit.record(actor, "budget.set", budget, before=before, after=asdict(terms))
    return budget


def _check_terms(terms: BudgetTerms) -> None:
    if terms.amount_nano_usd < 0:
        raise UsageError("A budget is not negative.", field="budget")
    if terms.window not in Budget.Window.values:
        raise UsageError(
            f"The window is one of {', '.join(Budget.Window.values)}.", field="window"
        )
    try:
        zoneinfo.ZoneInfo(terms.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as exc:
        raise UsageError(
            f"{terms.time_zone} is not a time zone.", field="time_zone"
        ) from exc


def _put_secret(key: ClientKey, made: ParsedKey) -> None:
    pepper_id, digest = Peppers(settings.ROOTS.peppers).digest(made.key)
    key.public_id = made.public_id
    key.digest = digest
    key.pepper_id = pepper_id
    key.last4 = made.last4


def _assign(key: ClientKey, values: dict[str, Any], clock: Clock) -> None:
    unknown = set(values) - EDITABLE
    if unknown:
        raise UsageError(f"Unknown settings: {', '.join(sorted(unknown))}.")
    expires: datetime | None = values.get("expires_at")
    if expires is not None and expires <= clock.now():
        raise UsageError("The expiry lies in the past.", field="expires_at")
    for name, value in values.items():
        setattr(key, name, value)
    key.name = key.name.strip()
    if not key.name:
        raise UsageError("The key needs a name.", field="name")
    if key.model_access == ClientKey.Access.ONLY and not key.models_allowed:
        raise UsageError(
            "Name the models, or choose All or None.", field="models_allowed"
        )


def _shown(key: ClientKey) -> dict[str, Any]:
    shown = sorted(EDITABLE - {"team", "owner"})
    return {name: getattr(key, name) for name in shown}
