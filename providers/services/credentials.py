"""Add, switch and remove the API keys we hold at a provider."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from django.conf import settings
from django.db.models import Q

from poolsite import audit, secrets, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.client_keys import mask_vendor_secret
from poolsite.clock import Clock, SystemClock
from poolsite.columns import ColumnError, check_columns
from poolsite.crypto import Peppers
from poolsite.destinations import origin_of
from providers.formats.cli_backed.command import is_program
from providers.models import ApiKey, Fact, Provider
from providers.services.errors import ServiceError
from providers.snapshot.speech import effective_base_url

_CLOCK = SystemClock()
_LONGEST_SECRET: Final = 8192
_ENTER_AGAIN: Final[dict[str, str]] = {
    ApiKey.State.ORIGIN_CHANGED: (
        "This key was entered for another address of the provider; enter it again."
    ),
    ApiKey.State.UNREADABLE: "This key cannot be read any more; enter it again.",
}
_LOST: Final = tuple(_ENTER_AGAIN)


@one_change
def add_key(
    actor: Actor,
    provider: Provider,
    secret: str,
    *,
    label: str = "",
    clock: Clock = _CLOCK,
) -> ApiKey:
    """Store one key, encrypted and bound to the provider's origin and to its row.

    A known key that became unusable (the provider moved, or the key that encrypted it
    is lost) is taken as entered again, in its old row.

    Errors:  ServiceError when it is empty, holds white space inside, or is known; when
             the provider was removed.
    """
    text = clean_secret(secret)
    if is_program(provider.api_format):
        raise ServiceError(
            f"{provider.api_format} is a program with a login of its own; it takes no "
            "key.",
            field="secret",
        )
    if not Provider.objects.filter(pk=provider.pk, deleted_at=None).exists():
        raise ServiceError(f"The provider {provider.slug} was removed.")
    pepper_id, digest = Peppers(settings.ROOTS.peppers).digest(text)
    key = provider.api_keys.filter(digest=digest, deleted_at=None).first()
    if key is not None and key.state not in _LOST:
        raise ServiceError("This key is in the pool already.", field="secret")
    is_new = key is None
    if key is None:
        key = ApiKey(
            provider=provider,
            mask=mask_vendor_secret(text),
            digest=digest,
            pepper_id=pepper_id,
            created_at=clock.now(),
        )
    key.label = label.strip() or key.label
    key.origin = origin_of(effective_base_url(provider))
    key.state = ApiKey.State.OK
    _check_label(key)
    key.save()
    secrets.seal_for(key, "secret", text)  # binds to the row's id: after the insert
    key.save(update_fields=["secret", "enc_kid"])
    version.bump(key, provider)
    audit.record(
        actor,
        "api_key.add" if is_new else "api_key.reenter",
        key,
        after={"provider": provider.slug, "mask": key.mask},
    )
    return key


def add_keys(
    actor: Actor, provider: Provider, text: str, *, clock: Clock = _CLOCK
) -> tuple[list[ApiKey], list[str]]:
    """Store many keys, one a line; return the new ones and a sentence per refusal."""
    added: list[ApiKey] = []
    refused: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            added.append(add_key(actor, provider, line, clock=clock))
        except ServiceError as exc:
            refused.append(f"Line {number}: {exc.message}")
    return added, refused


@one_change
def set_key_enabled(actor: Actor, key: ApiKey, *, enabled: bool) -> None:
    """Switch a key on or off; on also clears a state that kept it out of routing.

    Errors:  ServiceError for a removed key, and for switching on one that has to be
             entered again.
    """
    key.refresh_from_db()
    if key.deleted_at is not None:
        raise ServiceError("This key was removed.")
    if enabled and key.state in _LOST:
        raise ServiceError(_ENTER_AGAIN[key.state])
    key.enabled = enabled
    key.save(update_fields=["enabled"])
    if enabled:
        revive([key])
    version.bump(key, key.provider)
    audit.record(actor, "api_key.enable" if enabled else "api_key.disable", key)


def revive(keys: Iterable[ApiKey], *, clock: Clock = _CLOCK) -> list[ApiKey]:
    """Let keys be used again at once, whatever they did before; return them.

    The caller raises the version. Workers forget the cooldowns they hold of a key that
    was revived after them.
    """
    revived = list(keys)
    now = clock.now()
    for key in revived:
        key.revived_at = now
        if key.state == ApiKey.State.NEEDS_ATTENTION:
            key.state = ApiKey.State.OK
            key.last_error = ""
        key.save(update_fields=["revived_at", "state", "last_error"])
        own = f"{key.provider_id}:api_key:{key.pk}"
        Fact.objects.filter(kind="cooldown").filter(
            Q(key=f"credential:{own}") | Q(key__startswith=f"limit:{own}:")
        ).delete()
    return revived


@one_change
def remove_key(actor: Actor, key: ApiKey, *, clock: Clock = _CLOCK) -> None:
    """Remove a key and its ciphertext; its usage stays in the ledger."""
    key.refresh_from_db()
    if key.deleted_at is not None:
        return
    key.deleted_at = clock.now()
    key.secret = ""
    key.enc_kid = ""
    key.enabled = False
    key.save(update_fields=["deleted_at", "secret", "enc_kid", "enabled"])
    version.bump(key, key.provider)
    audit.record(actor, "api_key.remove", key, before={"mask": key.mask})


def clean_secret(secret: str) -> str:
    """Return the secret without what comes along when it is pasted.

    Errors:  ServiceError when nothing is left, or when it cannot be a header value.
    """
    text = secret.strip()
    if text.startswith("{"):
        return _clean_file(text)
    text = text.strip("\"'").strip()
    if text.lower().partition(" ")[0] == "bearer":
        text = text[6:].strip()
    if not text:
        raise ServiceError("The key is empty.", field="secret")
    if len(text) > _LONGEST_SECRET:
        raise ServiceError("This is too long to be a key.", field="secret")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ServiceError(
            "A key holds printable characters without spaces.", field="secret"
        )
    return text


def _clean_file(text: str) -> str:
    """Return a cloud's credential file in one line.

    Errors:  ServiceError for what is no JSON object, or too large to be one of these.
    """
    try:
        value = json.loads(text) if len(text) <= 4 * _LONGEST_SECRET else None
    except (ValueError, RecursionError):
        value = None
    packed = json.dumps(value, separators=(",", ":"))
    if not isinstance(value, dict) or len(packed) > _LONGEST_SECRET:
        raise ServiceError("This is no credential file in JSON.", field="secret")
    return packed


def _check_label(key: ApiKey) -> None:
    try:
        check_columns(key, ["label"])
    except ColumnError as exc:
        raise ServiceError(str(exc), field="label") from exc
