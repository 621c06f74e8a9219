"""Fetch model lists, say what is different, and apply what a person chose.

A list is fetched outside any transaction and kept; a failed fetch keeps the old one
with its age. What is applied never touches a switch, and no fact a person set.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from django.db import transaction

from oauth.models import Account
from poolsite import audit, secrets, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.crypto import UnreadableSecretError
from poolsite.secret_type import Secret
from pricing.listing import ListedModel
from providers.discovery.differences import (
    BACK,
    GONE,
    KINDS,
    NEW,
    Diff,
    Line,
    changes_of,
    differences,
    values_of,
)
from providers.discovery.known import builtin_models
from providers.discovery.lists.fetch import (
    TIMEOUT_S,
    ListError,
    NotListableError,
    Source,
    fetch,
)
from providers.discovery.lists.openai import trial_only
from providers.formats.cli_backed.command import origin_or_address
from providers.models import ApiKey, ModelList, Provider, ProviderModel
from providers.services.errors import ServiceError
from providers.snapshot.stated import prices_of

BUILTIN: Final = "built-in"
FRESH_FOR: Final = timedelta(hours=1)
_AT_ONCE: Final = 500
_FACTS_FROM_CATALOGUE: Final = frozenset({"catalog", "catalogue"})
_CLOCK: Final = SystemClock()
_FACTS: Final = (
    "display_name",
    "context_window",
    "max_output_tokens",
    "deprecated",
    "capabilities",
)


# Fetching


def refresh(
    provider: Provider,
    *,
    actor: Actor | None = None,
    max_age: timedelta | None = None,
    timeout_s: float = TIMEOUT_S,
    clock: Clock = _CLOCK,
) -> ModelList:
    """Fetch a provider's list, unless the one at hand is younger than ``max_age``.

    Shapes: with an ``actor``, somebody asked for it and the audit trail says so.
    Fails:  never for what the provider does: the row keeps the old list and the error.
    Cost:   the requests of ``fetch``, none for a fresh list; no lock is held meanwhile.
    """
    kept = ModelList.objects.filter(provider=provider).first()
    if kept is not None and max_age is not None and not kept.error:
        age = None if kept.fetched_at is None else clock.now() - kept.fetched_at
        if age is not None and age < max_age:
            return kept
    values: dict[str, Any]
    try:
        shape, models = _ask(provider, timeout_s, clock)
        values = {
            "entries": msgspec.to_builtins(models),
            "shape": shape,
            "error": "",
            "fetched_at": clock.now(),
        }
    except ListError as exc:
        values = {"error": str(exc)[:200]}
    stated = prices_of(kept.entries) if kept is not None else {}
    with transaction.atomic():
        row, _ = ModelList.objects.update_or_create(
            provider=provider, defaults={**values, "checked_at": clock.now()}
        )
        if "entries" in values and prices_of(row.entries) != stated:
            # What a provider says it charges is in force as soon as it says so.
            version.bump(provider)
        if actor is not None:
            told = {"listed": len(row.entries), "error": row.error}
            audit.record(actor, "model.list", provider, after=told)
    return row


def keep_first(
    actor: Actor,
    provider: Provider,
    listed: list[ListedModel],
    *,
    clock: Clock = _CLOCK,
) -> None:
    """Keep the list a new provider was tried with, and everything it says.

    Nobody has set anything yet, so there is nothing to look at first: facts and prices
    count from the first request on. The list may be a first page only; as it was never
    checked as a list, the next round asks for it whole.
    """
    models = _as_meant(provider, listed)
    ModelList.objects.update_or_create(
        provider=provider,
        defaults={"entries": msgspec.to_builtins(models), "fetched_at": clock.now()},
    )
    apply(actor, provider, kinds=(NEW,), clock=clock)


def _ask(
    provider: Provider, timeout_s: float, clock: Clock
) -> tuple[str, list[ListedModel]]:
    try:
        found = fetch(source_of(provider), timeout_s=timeout_s, clock=clock)
    except NotListableError:
        models = builtin_models(provider)
        if not models:
            raise
        return BUILTIN, models
    return found.shape, _as_meant(provider, found.models)


def _as_meant(provider: Provider, models: list[ListedModel]) -> list[ListedModel]:
    """Keep what counts: a trial has some families, some lists only say what is there."""
    if provider.type == Provider.Type.TRIAL:
        models = trial_only(models)
    if provider.metadata_mode in _FACTS_FROM_CATALOGUE:
        return [ListedModel(id=each.id, kind=each.kind) for each in models]
    return models


def source_of(provider: Provider) -> Source:
    """Return where a provider's list is asked for, with its best credential.

    Errors:  ListError when a stored secret cannot be opened.
    """
    is_detected = provider.format_mode == Provider.FormatMode.AUTO
    base_url = (is_detected and provider.detected_base_url) or provider.base_url
    api_format = (is_detected and provider.detected_format) or provider.api_format
    origin = origin_or_address(base_url)
    secret = _secret(provider, origin)
    entry_is_custom = provider.catalogue_id in ("", "custom")
    return Source(
        base_url=base_url,
        api_format=api_format,
        secret=secret,
        secret_origin=origin if secret else None,
        auth_scheme=provider.auth_scheme,
        allow_private=provider.allow_private,
        headers=tuple((str(k), str(v)) for k, v in provider.headers.items()),
        catalogue_id=provider.catalogue_id,
        is_custom=entry_is_custom and provider.type == Provider.Type.CUSTOM,
        options={str(k): str(v) for k, v in provider.options.items()},
    )


def _secret(provider: Provider, origin: str) -> Secret | None:
    keys = provider.api_keys.filter(
        deleted_at=None, enabled=True, origin=origin
    ).exclude(state__in=[ApiKey.State.UNREADABLE, ApiKey.State.ORIGIN_CHANGED])
    key = keys.order_by("-priority", "id").first()
    try:
        if key is not None:
            return secrets.open_for(key, "secret")
        account = (
            Account.objects.filter(
                provider_slug=provider.slug,
                origin=origin,
                enabled=True,
                state=Account.State.OK,
                deleted_at=None,
            )
            .exclude(access_token="")
            .order_by("-priority", "id")
            .first()
        )
        if account is not None:
            return secrets.open_for(account, "access_token")
    except UnreadableSecretError as exc:
        raise ListError(str(exc)) from exc
    return None


# Applying


def apply(
    actor: Actor,
    provider: Provider,
    *,
    kinds: Collection[str] = KINDS,
    chosen: Collection[str] | None = None,
    clock: Clock = _CLOCK,
) -> dict[str, int]:
    """Apply the differences of these kinds, of all models or of the chosen ones.

    Shapes:  returns how many of each kind were applied.
    Errors:  ServiceError when the provider was removed.
    Cost:    a transaction for 500 models; at most nine queries each.
    """
    wanted = [
        line
        for line in differences(provider).lines
        if line.kind in kinds and (chosen is None or line.model_id in chosen)
    ]
    done = dict.fromkeys(KINDS, 0)
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        _apply_part(actor, provider, part, clock)
        for line in part:
            done[line.kind] += 1
    return done


@one_change
def _apply_part(
    actor: Actor, provider: Provider, lines: Sequence[Line], clock: Clock
) -> None:
    if not Provider.objects.filter(pk=provider.pk, deleted_at=None).exists():
        raise ServiceError(f"The provider {provider.slug} was removed.")
    now = clock.now()
    # What happened since the lines were drawn holds: rows are read anew.
    names = [line.model_id for line in lines]
    rows = {
        row.model_id: row
        for row in provider.models.filter(deleted_at=None, model_id__in=names)
    }
    made = [
        _new_row(provider, line, now)
        for line in lines
        if line.kind == NEW and line.model_id not in rows
    ]
    ProviderModel.objects.bulk_create(made)
    touched = [
        _update(rows[line.model_id], line, now)
        for line in lines
        if line.kind != NEW and line.model_id in rows
    ]
    fields = [*_FACTS, "gone_at", "seen_at"]
    ProviderModel.objects.bulk_update(touched, fields, batch_size=100)
    changed = [*made, *touched]
    if not changed:
        return
    version.bump(*changed)
    counts = {kind: sum(line.kind == kind for line in lines) for kind in KINDS}
    audit.record(
        actor,
        "model.discover",
        provider,
        after={
            **{kind: number for kind, number in counts.items() if number},
            "models": names[:50],
        },
    )


def _new_row(provider: Provider, line: Line, now: datetime) -> ProviderModel:
    row = ProviderModel(
        provider=provider,
        model_id=line.model_id,
        source=ProviderModel.Source.DISCOVERED,
        created_at=now,
        seen_at=now,
    )
    if line.facts is not None:
        for name, value in values_of(line.facts).items():
            setattr(row, name, value)
    return row


def _update(row: ProviderModel, line: Line, now: datetime) -> ProviderModel:
    """Put a line into a row; ``enabled`` and what a person set stay as they are."""
    if line.kind == GONE:
        row.gone_at = now
        return row
    row.gone_at, row.seen_at = None, now
    if line.facts is not None:
        for name, _, value in changes_of(row, line.facts):
            setattr(row, name, value)
    return row


def sync(
    actor: Actor,
    provider: Provider,
    *,
    kinds: Collection[str] = (NEW, BACK),
    clock: Clock = _CLOCK,
) -> tuple[Diff, dict[str, int]]:
    """Fetch the list and apply these kinds; what is left waits to be looked at.

    Errors:  ServiceError when the list could not be fetched; then nothing changed.
    """
    kept = refresh(provider, actor=actor, clock=clock)
    if kept.error:
        raise ServiceError(f"Nothing changed: {kept.error}")
    done = apply(actor, provider, kinds=kinds, clock=clock)
    return differences(provider, kept), done
