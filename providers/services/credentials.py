"""Add, switch and remove the API keys we hold at a provider."""

from __future__ import annotations

from django.conf import settings
from django.db import IntegrityError, transaction

from poolsite import audit, secrets, version
from poolsite.actor import Actor
from poolsite.client_keys import mask_vendor_secret
from poolsite.clock import Clock, SystemClock
from poolsite.crypto import Peppers
from poolsite.destinations import origin_of
from providers.models import ApiKey, Provider
from providers.services.errors import ServiceError

_CLOCK = SystemClock()


@transaction.atomic
def add_key(
    actor: Actor,
    provider: Provider,
    secret: str,
    *,
    label: str = "",
    clock: Clock = _CLOCK,
) -> ApiKey:
    """Store one key, encrypted and bound to the provider's origin and to its row.

    Errors:  ServiceError when it is empty, holds white space inside, or is known.
    """
    text = clean_secret(secret)
    pepper_id, digest = Peppers(settings.ROOTS.peppers).digest(text)
    key = ApiKey(
        provider=provider,
        label=label.strip(),
        mask=mask_vendor_secret(text),
        digest=digest,
        pepper_id=pepper_id,
        origin=origin_of(provider.base_url),
        created_at=clock.now(),
    )
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError as exc:
        raise ServiceError("This key is in the pool already.", field="secret") from exc
    secrets.seal_for(key, "secret", text)  # binds to the row's id: after the insert
    key.save(update_fields=["secret", "enc_kid"])
    version.bump(key, provider)
    audit.record(
        actor, "api_key.add", key, after={"provider": provider.slug, "mask": key.mask}
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


@transaction.atomic
def set_key_enabled(actor: Actor, key: ApiKey, *, enabled: bool) -> None:
    """Switch a key on or off; on also clears a state that kept it out of routing."""
    key.enabled = enabled
    if enabled and key.state == ApiKey.State.NEEDS_ATTENTION:
        key.state = ApiKey.State.OK
        key.last_error = ""
    key.save(update_fields=["enabled", "state", "last_error"])
    version.bump(key, key.provider)
    audit.record(actor, "api_key.enable" if enabled else "api_key.disable", key)


@transaction.atomic
def remove_key(actor: Actor, key: ApiKey, *, clock: Clock = _CLOCK) -> None:
    """Remove a key and its ciphertext; its usage stays in the ledger."""
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
    text = secret.strip().strip("\"'")
    if text.lower().startswith("bearer "):
        text = text[7:].strip()
    if not text:
        raise ServiceError("The key is empty.", field="secret")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ServiceError(
            "A key holds printable characters without spaces.", field="secret"
        )
    return text
