"""Verify stored providers: keep what was found, preview it, apply it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

from poolsite import audit, secrets, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.crypto import UnreadableSecretError
from poolsite.destinations import origin_of
from poolsite.secret_type import Secret
from providers.discovery.asking import Asker, Candidate
from providers.discovery.check import (
    best_key,
    candidate_of,
)
from providers.discovery.detect import STAGE_S as DETECT_STAGE_S
from providers.discovery.detect import detect
from providers.discovery.once import Flights, key_of
from providers.discovery.verify import Verification, verify
from providers.formats.cli_backed.command import is_program
from providers.models import Fact, Provider
from providers.services.errors import ServiceError
from providers.services.values import check_provider as check_values
from providers.snapshot.speech import effective_base_url

_CLOCK = SystemClock()
_KEPT: Final = "verification"
_KEPT_FOR: Final = timedelta(hours=24)
_verifications: Flights[Verification] = Flights()


@dataclass(frozen=True)
class Change:
    """One value that would change, as a person reads it."""

    name: str
    label: str
    before: str
    after: str


def verify_candidate(
    candidate: Candidate, secret: Secret | None, *, model: str = ""
) -> Verification:
    """Find out what a candidate speaks; nothing is stored.

    Fails:   never raises for what the candidate does.
    Cost:    some ten requests of at most 8 tokens; 30 s in all, and as much again of
             coarser probes where nothing was found.
    """
    text = "" if secret is None else secret.reveal()
    return _verifications.run(
        key_of("verify", candidate, text, model),
        lambda: _verify(candidate, secret, model, is_custom=not candidate.catalogue),
    )


def _verify(
    candidate: Candidate, secret: Secret | None, model: str, *, is_custom: bool
) -> Verification:
    found = verify(Asker(candidate, secret), model=model, is_custom=is_custom)
    if found.ok or not found.was_heard:
        return found
    guess = detect(Asker(candidate, secret, stage_s=DETECT_STAGE_S))
    if guess.is_sure:
        found.detected_format = found.recommended_api_format = guess.api_format
        found.candidate_formats = [guess.api_format]
        found.recommended_base_url = guess.base_url
        found.resolution_source = "detected"
        found.mode = "pinned"
    return found


def verify_provider(
    provider: Provider, *, model: str = "", clock: Clock = _CLOCK
) -> Verification:
    """Verify a stored provider with its best key, and keep what was found for a day.

    Errors:  ServiceError for a program, or when its key cannot be read.
    Cost:    as ``verify_candidate``.
    """
    if is_program(provider.api_format):
        raise ServiceError("A program speaks no wire format; there is nothing to find.")
    key = best_key(provider)
    secret: Secret | None = None
    if key is not None:
        try:
            secret = secrets.open_for(key, "secret")
        except UnreadableSecretError as exc:
            raise ServiceError(str(exc)) from exc
    candidate = candidate_of(provider)
    if secret is None and candidate.needs_key:
        raise ServiceError("There is no usable key to verify it with.")
    found = verify_candidate(candidate, secret, model=model)
    now = clock.now()
    Fact.objects.update_or_create(
        kind=_KEPT,
        key=str(provider.pk),
        defaults={
            "payload": asdict(found) | {"models": found.models[:50]},
            "at": now,
            "expires_at": now + _KEPT_FOR,
        },
    )
    return found


def last_verification(
    provider: Provider, *, clock: Clock = _CLOCK
) -> dict[str, Any] | None:
    """Return what the last verification found, None when that is too long ago."""
    facts = Fact.objects.filter(kind=_KEPT, key=str(provider.pk))
    kept = facts.filter(expires_at__gt=clock.now()).first()
    return None if kept is None else dict(kept.payload)


def preview(provider: Provider, found: dict[str, Any]) -> list[Change]:
    """Return what applying a verification would change, nothing for a known provider.

    A provider of the catalogue keeps what the catalogue says of it.
    """
    if provider.type != Provider.Type.CUSTOM or not found.get("candidate_formats"):
        return []
    after = {
        "api_format": str(found["recommended_api_format"]),
        "format_mode": str(found["mode"]),
        "base_url": str(found["recommended_base_url"]),
        "auth_scheme": str(found.get("auth_scheme") or provider.auth_scheme),
        "detected_format": str(found["detected_format"]),
        "detected_base_url": "",
    }
    labels = {
        "api_format": "Wire format",
        "format_mode": "Format may change",
        "base_url": "Base URL",
        "auth_scheme": "Credential",
        "detected_format": "Detected format",
        "detected_base_url": "Detected address",
    }
    return [
        Change(name, labels[name], str(getattr(provider, name)), value)
        for name, value in after.items()
        if str(getattr(provider, name)) != value
    ]


@one_change
def apply_verification(
    actor: Actor, provider: Provider, *, clock: Clock = _CLOCK
) -> list[Change]:
    """Apply what the last verification found; return what changed.

    Errors:  ServiceError when there is none, or it would move keys elsewhere.
    """
    provider.refresh_from_db()
    if provider.deleted_at is not None:
        raise ServiceError(f"The provider {provider.slug} was removed.")
    found = last_verification(provider, clock=clock)
    if found is None:
        raise ServiceError("There is no verification to apply; verify it first.")
    changes = preview(provider, found)
    if not changes:
        return []
    old_origin = origin_of(effective_base_url(provider))
    for change in changes:
        setattr(provider, change.name, change.after)
    if origin_of(effective_base_url(provider)) != old_origin:
        raise ServiceError("What was found is on another host; add it anew.")
    check_values(provider, ["base_url", "api_format", "auth_scheme"])
    provider.updated_at = clock.now()
    names = [change.name for change in changes]
    provider.save(update_fields=[*names, "updated_at"])
    version.bump(provider)
    audit.record(
        actor,
        "provider.verify_apply",
        provider,
        before={change.name: change.before for change in changes},
        after={change.name: change.after for change in changes},
    )
    return changes
