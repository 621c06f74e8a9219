"""Create, change, switch and remove providers."""

from __future__ import annotations

import re
from typing import Any

from django.utils.text import slugify

from oauth import services as accounts
from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from providers.catalogue import spec
from providers.formats import registry
from providers.formats.cli_backed.command import address_of, origin_or_address
from providers.models import ApiKey, Provider
from providers.services import cooldowns, credentials
from providers.services.errors import ServiceError
from providers.services.speech import is_same_origin
from providers.services.values import EDITABLE, check_provider
from providers.snapshot.speech import effective_base_url

_CLOCK = SystemClock()
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def live() -> Any:
    """Return the query of providers that were not removed."""
    return Provider.objects.filter(deleted_at=None)


@one_change
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
    provider = draft(
        slug=slug, catalogue_id=catalogue_id, enabled=enabled, clock=clock, **values
    )
    if live().filter(slug=provider.slug).exists():
        raise ServiceError(
            f"A provider named {provider.slug} exists already.", field="slug"
        )
    provider.save(force_insert=True)
    version.bump(provider)
    names = {"name", "base_url", *_given(values)}
    after = {"slug": provider.slug, **_shown(provider, names)}
    audit.record(actor, "provider.create", provider, after=after)
    return provider


def draft(
    *,
    slug: str,
    catalogue_id: str = "",
    enabled: bool = True,
    clock: Clock = _CLOCK,
    **values: Any,
) -> Provider:
    """Return a provider as it would be stored; nothing is.

    Errors:  ServiceError naming the field.
    """
    given = _given(values)
    values = {**_from_catalogue(catalogue_id), **given}
    if "other_formats" not in given:
        values |= _other_formats_left(values)
    slug = (slug or slugify(str(values.get("name", "")))).lower()
    if not _SLUG.fullmatch(slug):
        raise ServiceError(
            "Use lower-case letters, digits, dot, dash and underscore; start with a "
            "letter or digit.",
            field="slug",
        )
    now = clock.now()
    provider = Provider(
        slug=slug,
        catalogue_id=catalogue_id,
        enabled=enabled,
        created_at=now,
        updated_at=now,
    )
    _assign(provider, values)
    check_provider(provider, EDITABLE)
    return provider


@one_change
def update_provider(
    actor: Actor, provider: Provider, *, clock: Clock = _CLOCK, **values: Any
) -> Provider:
    """Change values of a provider.

    A new origin makes its stored keys unusable until they are entered again: a
    secret is never sent to a place it was not given for. The old origin makes them
    usable again.

    Errors:  ServiceError naming the field, or for a provider that was removed.
    """
    values = _given(values)
    _refresh(provider)
    if "base_url" in values and "other_formats" not in values:
        values |= _other_formats_left(
            {"other_formats": provider.other_formats, "base_url": values["base_url"]}
        )
    before = _shown(provider, values)
    old_origin = origin_or_address(effective_base_url(provider))
    old_address = provider.base_url, provider.api_format
    _assign(provider, values)
    check_provider(provider, values)
    provider.updated_at = clock.now()
    provider.save(update_fields=[*values, "alternate_base_urls", "updated_at"])
    if (provider.base_url, provider.api_format) != old_address:
        _forget_detected(provider)
    changed: list[Any] = [provider]
    if origin_or_address(effective_base_url(provider)) != old_origin:
        changed += park_keys(provider)
        cooldowns.forget_place(provider, clock=clock)
    version.bump(*changed)
    after = _shown(provider, values)
    changes = [name for name in after if before[name] != after[name]]
    audit.record(
        actor,
        "provider.update",
        provider,
        before={name: before[name] for name in changes},
        after={name: after[name] for name in changes},
    )
    return provider


@one_change
def set_enabled(actor: Actor, provider: Provider, *, enabled: bool) -> None:
    """Switch a provider on or off; off takes effect for new requests within 2 s.

    Errors:  ServiceError for a provider that was removed.
    """
    _refresh(provider)
    provider.enabled = enabled
    provider.save(update_fields=["enabled"])
    revived: list[ApiKey] = []
    if enabled:
        tired = ApiKey.State.NEEDS_ATTENTION
        revived = credentials.revive(provider.api_keys.filter(state=tired))
    version.bump(provider, *revived)
    audit.record(actor, "provider.enable" if enabled else "provider.disable", provider)


@one_change
def remove_provider(actor: Actor, provider: Provider, *, clock: Clock = _CLOCK) -> None:
    """Remove a provider with its keys, accounts and models; bills keep its name."""
    provider.refresh_from_db()
    if provider.deleted_at is not None:
        return
    now = clock.now()
    keys = list(provider.api_keys.filter(deleted_at=None))
    for key in keys:
        # The ciphertext goes with the key: a removed secret has no reader left.
        key.deleted_at, key.secret, key.enc_kid = now, "", ""
    ApiKey.objects.bulk_update(keys, ["deleted_at", "secret", "enc_kid"])
    accounts.remove_accounts_of(actor, provider.slug, clock=clock)
    models = list(provider.models.filter(deleted_at=None))
    provider.models.filter(deleted_at=None).update(deleted_at=now)
    provider.deleted_at = now
    provider.enabled = False
    provider.save(update_fields=["deleted_at", "enabled"])
    version.bump(provider, *keys, *models)
    audit.record(actor, "provider.remove", provider)


@one_change
def record_test(
    provider: Provider,
    *,
    error: str,
    actor: Actor | None = None,
    tried_key: int | None = None,
    clock: Clock = _CLOCK,
) -> None:
    """Keep what the last test said; blank is success.

    Shapes:  ``actor`` is the person who asked for the test, None for a schedule;
             ``tried_key`` the API key it went through with, to be used again at once.
    """
    now = clock.now()
    provider.tested_at = now
    provider.last_error = error[:300]
    provider.last_error_at = now if error else provider.last_error_at
    provider.status = Provider.Status.ERROR if error else Provider.Status.ACTIVE
    provider.save(update_fields=["tested_at", "last_error", "last_error_at", "status"])
    if tried_key is not None and not error:
        keys = provider.api_keys.filter(pk=tried_key, deleted_at=None)
        version.bump(provider, *credentials.revive(keys, clock=clock))
    if actor is not None:
        result = "failed" if error else "ok"
        audit.record(actor, "provider.test", provider, result=result)


def _refresh(provider: Provider) -> None:
    provider.refresh_from_db()
    if provider.deleted_at is not None:
        raise ServiceError(f"The provider {provider.slug} was removed.")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what was not said: None means none only where none is possible."""
    unknown = set(values) - EDITABLE
    if unknown:
        raise ServiceError(f"Unknown settings: {', '.join(sorted(unknown))}.")
    given = {
        name: value
        for name, value in values.items()
        if value is not None or Provider._meta.get_field(name).null
    }
    own = address_of(str(given.get("api_format", "")))
    if own and not given.get("base_url"):
        given["base_url"] = own
    return given


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
        "auth_scheme": entry.auth_scheme,
        "other_formats": {
            name: url
            for name, url in entry.other_formats.items()
            if name in registry.formats()
        },
        # Who picks a server of this machine from the list means this machine.
        "allow_private": entry.location == "local",
    }


def _other_formats_left(values: dict[str, Any]) -> dict[str, Any]:
    """Return the other formats without addresses a new base URL leaves behind.

    Nobody named those addresses for this place; its keys could not go there either.
    """
    kept: dict[str, str] = values.get("other_formats") or {}
    base_url = values.get("base_url")
    if not isinstance(base_url, str):
        return {}
    here = {
        name: url
        for name, url in kept.items()
        if not url or is_same_origin(url, base_url.strip())
    }
    return {"other_formats": here} if len(here) < len(kept) else {}


def _assign(provider: Provider, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(provider, name, value)
    for name in ("name", "base_url"):
        if isinstance(getattr(provider, name), str):
            setattr(provider, name, getattr(provider, name).strip())
    if isinstance(provider.base_url, str):
        provider.base_url = provider.base_url.rstrip("/")
    provider.name = provider.name or provider.slug
    entry = spec.entries().get(provider.catalogue_id)
    if entry is not None:
        provider.type = entry.type
        provider.alternate_base_urls = _listed_alternates(entry, provider.base_url)


def _listed_alternates(entry: spec.CatalogueEntry, base_url: Any) -> list[str]:
    """Return the other addresses the catalogue lists, for one of its own only.

    They are kept with the provider: its keys may be tried there later, and at no
    address that a newer catalogue may name.
    """
    listed = [url.rstrip("/") for url in (entry.base_url, *entry.alternates)]
    if base_url not in listed:
        return []
    return [url for url in listed if url != base_url]


def _shown(provider: Provider, names: Any) -> dict[str, Any]:
    """Return values for the audit trail; of headers only which there are."""
    shown = {name: getattr(provider, name) for name in sorted(names)}
    if "headers" in shown:
        shown["headers"] = sorted(shown["headers"])
    return shown


def _forget_detected(provider: Provider) -> None:
    """What was found out is about the address and the format that were there."""
    provider.detected_format = provider.detected_base_url = ""
    provider.save(update_fields=["detected_format", "detected_base_url"])


def park_keys(provider: Provider) -> list[ApiKey]:
    """Set aside keys of another origin, and take back those of this one."""
    origin = origin_or_address(effective_base_url(provider))
    changed = []
    for key in provider.api_keys.filter(deleted_at=None):
        if key.origin != origin and key.state != ApiKey.State.UNREADABLE:
            key.state = ApiKey.State.ORIGIN_CHANGED
        elif key.origin == origin and key.state == ApiKey.State.ORIGIN_CHANGED:
            key.state = ApiKey.State.OK
        else:
            continue
        key.save(update_fields=["state"])
        changed.append(key)
    return changed
