"""Create, change, switch and remove providers."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.clock import Clock, SystemClock
from poolsite.destinations import EgressRefusedError, host_port_of, origin_of, parse_url
from providers.catalogue import spec
from providers.formats import registry
from providers.models import ApiKey, Provider
from providers.services.errors import ServiceError

_CLOCK = SystemClock()
_SLUG = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
EDITABLE = frozenset(
    {
        "name", "base_url", "api_format", "location", "priority", "weight", "headers",
        "timeouts", "allow_private", "tls_verify", "model_access", "models_allowed",
        "rpm", "tpm", "tpd", "concurrency", "billing_on_abort", "description",
        "website", "key_url", "default_model", "forced_model", "proxy_url",
    }
)  # fmt: skip
"""What a person may change; everything else is the product's own knowledge."""


def live() -> Any:
    """Return the query of providers that were not removed."""
    return Provider.objects.filter(deleted_at=None)


@transaction.atomic
def create_provider(
    actor: Actor,
    *,
    slug: str,
    catalogue_id: str = "",
    enabled: bool = True,
    clock: Clock = _CLOCK,
    **values: Any,
) -> Provider:
    """Create a provider, from the catalogue or by its values.

    Shapes:  ``values`` are the names in EDITABLE; the catalogue fills what is absent.
    Errors:  ServiceError naming the field.
    """
    values = {**_from_catalogue(catalogue_id), **_given(values)}
    slug = (slug or slugify(str(values.get("name", "")))).lower()
    if not _SLUG.match(slug):
        raise ServiceError(
            "Use lower-case letters, digits, dot, dash and underscore; start with a "
            "letter or digit.",
            field="slug",
        )
    values.setdefault("name", slug)
    now = clock.now()
    provider = Provider(
        slug=slug,
        catalogue_id=catalogue_id,
        enabled=enabled,
        created_at=now,
        updated_at=now,
    )
    _assign(provider, values)
    _check(provider)
    try:
        with transaction.atomic():
            provider.save(force_insert=True)
    except IntegrityError as exc:
        raise ServiceError(
            f"A provider named {slug} exists already.", field="slug"
        ) from exc
    version.bump(provider)
    audit.record(actor, "provider.create", provider, after={"slug": slug, **values})
    return provider


@transaction.atomic
def update_provider(
    actor: Actor, provider: Provider, *, clock: Clock = _CLOCK, **values: Any
) -> Provider:
    """Change values of a provider.

    A new origin makes its stored keys unusable until they are entered again: a
    secret is never sent to a place it was not given for.

    Errors:  ServiceError naming the field.
    """
    values = _given(values)
    before = {name: getattr(provider, name) for name in values}
    old_origin = _origin(provider)
    _assign(provider, values)
    _check(provider)
    provider.updated_at = clock.now()
    provider.save()
    changed: list[Any] = [provider]
    if _origin(provider) != old_origin:
        changed += _park_keys(provider)
    version.bump(*changed)
    changes = {k: v for k, v in values.items() if before[k] != v}
    audit.record(
        actor,
        "provider.update",
        provider,
        before={k: before[k] for k in changes},
        after=changes,
    )
    return provider


@transaction.atomic
def set_enabled(actor: Actor, provider: Provider, *, enabled: bool) -> None:
    """Switch a provider on or off; off takes effect for new requests within 2 s."""
    provider.enabled = enabled
    provider.save(update_fields=["enabled"])
    version.bump(provider)
    audit.record(actor, "provider.enable" if enabled else "provider.disable", provider)


@transaction.atomic
def remove_provider(actor: Actor, provider: Provider, *, clock: Clock = _CLOCK) -> None:
    """Remove a provider with its keys and models; bills keep its name."""
    now = clock.now()
    keys = list(provider.api_keys.filter(deleted_at=None))
    for key in keys:
        # The ciphertext goes with the key: a removed secret has no reader left.
        key.deleted_at, key.secret, key.enc_kid = now, "", ""
    ApiKey.objects.bulk_update(keys, ["deleted_at", "secret", "enc_kid"])
    models = list(provider.models.filter(deleted_at=None))
    provider.models.filter(deleted_at=None).update(deleted_at=now)
    provider.deleted_at = now
    provider.enabled = False
    provider.save(update_fields=["deleted_at", "enabled"])
    version.bump(provider, *keys, *models)
    audit.record(actor, "provider.remove", provider)


def record_test(provider: Provider, *, error: str, clock: Clock = _CLOCK) -> None:
    """Keep what the last test said; blank is success. No new version: not routing."""
    now = clock.now()
    provider.tested_at = now
    provider.last_error = error[:300]
    provider.last_error_at = now if error else provider.last_error_at
    provider.status = Provider.Status.ERROR if error else Provider.Status.ACTIVE
    provider.save(update_fields=["tested_at", "last_error", "last_error_at", "status"])


def _given(values: dict[str, Any]) -> dict[str, Any]:
    unknown = set(values) - EDITABLE
    if unknown:
        raise ServiceError(f"Unknown settings: {', '.join(sorted(unknown))}.")
    return {name: value for name, value in values.items() if value is not None}


def _from_catalogue(catalogue_id: str) -> dict[str, Any]:
    if not catalogue_id:
        return {}
    entry = spec.entries().get(catalogue_id)
    if entry is None:
        raise ServiceError(
            f"The catalogue has no {catalogue_id}.", field="catalogue_id"
        )
    return {
        "name": entry.name,
        "base_url": entry.base_url,
        "api_format": entry.format,
        "location": entry.location,
        "key_url": entry.key_url,
    }


def _assign(provider: Provider, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(provider, name, value)
    provider.base_url = (provider.base_url or "").strip().rstrip("/")
    entry = spec.entries().get(provider.catalogue_id)
    if entry is not None:
        provider.type = entry.type


def _check(provider: Provider) -> None:
    if provider.api_format not in registry.formats():
        known = ", ".join(sorted(registry.formats()))
        raise ServiceError(
            f"This version speaks {known} to a provider.", field="api_format"
        )
    if not provider.base_url:
        raise ServiceError("The base URL is missing.", field="base_url")
    try:
        parse_url(provider.base_url)
    except EgressRefusedError as exc:
        raise ServiceError(str(exc), field="base_url") from exc
    if not 0 <= provider.priority <= 100:
        raise ServiceError("The priority is between 0 and 100.", field="priority")
    if not provider.tls_verify and not _is_private(provider):
        raise ServiceError(
            "TLS checks stay on for public addresses.", field="tls_verify"
        )


def _is_private(provider: Provider) -> bool:
    host = host_port_of(provider.base_url)[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_private
    except ValueError:
        return provider.allow_private


def _origin(provider: Provider) -> str:
    return origin_of(provider.base_url)


def _park_keys(provider: Provider) -> list[ApiKey]:
    origin = _origin(provider)
    parked = list(provider.api_keys.filter(deleted_at=None).exclude(origin=origin))
    for key in parked:
        key.state = ApiKey.State.ORIGIN_CHANGED
        key.save(update_fields=["state"])
    return parked
