"""Turn one configuration row into the record the data plane knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from oauth.models import Account
from poolsite import secrets
from poolsite.models import ApiToken, Setting
from providers.catalogue import spec as catalogue
from providers.formats.cli_backed.command import is_program, origin_or_address
from providers.models import ApiKey, Provider, ProviderModel, RoutingRevision
from providers.snapshot import types
from providers.snapshot.prices import ModelPrice
from providers.snapshot.speech import effective_base_url, format_plan_of
from usage.models import Budget

SETTING_PREFIX: Final = "proxy."
_LONGEST_MASK: Final = 24
"""As wide as the column of a mask; a label may be longer."""
_NO_FUNDS: Final[Mapping[str, int]] = {}

KEY_COLUMNS: Final = (
    "id", "public_id", "digest", "pepper_id", "name", "team_id", "expires_at",
    "revoked_at", "model_access", "models_allowed", "provider_access",
    "providers_allowed", "ip_allow", "rpm", "tpm", "tpd", "concurrency",
    "window_requests", "window_s", "assumed_output_tokens", "unpriced",
    "default_strategy", "default_mode", "overrides_allowed", "log_level",
    "previous_public_id", "previous_digest", "previous_pepper_id", "grace_until",
)  # fmt: skip


def settings_record() -> types.SettingsRecord:
    """Return the pool-wide settings; what cannot be read keeps its default.

    Cost:  three queries.
    """
    known = set(types.SettingsRecord.__struct_fields__)
    values: dict[str, Any] = {}
    rows = Setting.objects.filter(key__startswith=SETTING_PREFIX, secret=False)
    for key, value in rows.values_list("key", "value"):
        name = key.removeprefix(SETTING_PREFIX)
        if name in known and _is_valid(name, value):
            values[name] = value
    tokens = ApiToken.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=timezone.now()),
        revoked_at=None,
        user__is_active=True,
    ).order_by("pk")
    values["metrics_tokens"] = [
        f"{token.pepper_id}:{token.digest}"
        for token in tokens
        if "metrics" in token.scopes
    ]
    values["allow_private"] = list(settings.CONFIG.allow_private)
    # By the owner of the machine alone: whoever may set it may start programs.
    values["cli_providers"] = settings.CONFIG.cli_providers
    values["routing"] = msgspec.to_builtins(routing_record())
    return msgspec.convert(values, types.SettingsRecord)


def routing_record() -> types.RoutingRecord:
    """Return the routing in force; the defaults where none was ever published."""
    row = RoutingRevision.objects.filter(is_draft=False).order_by("-number").first()
    if row is None:
        return types.RoutingRecord()
    try:
        found = msgspec.convert(row.document, types.RoutingRecord)
    except msgspec.ValidationError:
        return types.RoutingRecord(revision=row.number)
    return msgspec.structs.replace(found, revision=row.number)


def _is_valid(name: str, value: Any) -> bool:
    try:
        msgspec.convert({name: value}, types.SettingsRecord)
    except msgspec.ValidationError:
        return False
    return value is not None


def provider_record(
    row: Provider,
    keys: Sequence[ApiKey],
    accounts: Sequence[Account],
    funds: Mapping[str, int] = _NO_FUNDS,
) -> types.ProviderRecord | None:
    """Return a provider with the credentials that are bound to its origin.

    Units:  ``funds`` is what is left in nano-USD by credential, ``key:12`` or
            ``account:3``; what is not there was not reported.
    Fails:  None when its address is none.
    """
    base_url = effective_base_url(row)
    try:
        origin = origin_or_address(base_url)
    except ValueError:
        return None
    credentials = _credentials(keys, accounts, origin, funds)
    return types.ProviderRecord(
        id=row.pk,
        slug=row.slug,
        name=row.name,
        format=format_plan_of(row).selected,
        base_url=base_url,
        origin=origin,
        location=row.location,
        priority=row.priority,
        credentials=credentials,
        weight=row.weight,
        headers=_words(row.headers),
        timeouts=_timeouts(row.timeouts),
        allow_private=row.allow_private,
        tls_verify=row.tls_verify,
        needs_key=_needs_key(row),
        billing_on_abort=row.billing_on_abort,
        model_access=row.model_access,
        models_allowed=tuple(row.models_allowed),
        rpm=row.rpm,
        tpm=row.tpm,
        concurrency=row.concurrency,
        catalogue=row.catalogue_id,
        other_formats=_words(row.other_formats),
        auth_scheme=row.auth_scheme,
        options=_words(row.options),
    )


def _credentials(
    keys: Sequence[ApiKey],
    accounts: Sequence[Account],
    origin: str,
    funds: Mapping[str, int],
) -> tuple[types.CredentialRecord, ...]:
    """Return what is bound to an origin, best first."""
    found = [
        *(
            _api_key(key, funds.get(f"key:{key.pk}"))
            for key in keys
            if key.origin == origin
        ),
        *(
            account_credential(account, funds.get(f"account:{account.pk}"))
            for account in accounts
            if account.origin == origin
        ),
    ]
    found.sort(key=lambda each: -each.priority)
    return tuple(found)


def _needs_key(row: Provider) -> bool:
    if is_program(row.api_format):
        return False
    entry = catalogue.entries().get(row.catalogue_id)
    return entry.needs_key if entry else row.location == Provider.Location.CLOUD


def _words(values: dict[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items()}


def _timeouts(values: dict[str, Any]) -> types.Timeouts:
    known = set(types.Timeouts.__struct_fields__)
    good = {
        name: float(value)
        for name, value in values.items()
        if name in known and isinstance(value, int | float) and value > 0
    }
    return types.Timeouts(**good)


def shown_mask(row: ApiKey) -> str:
    """Return the mask, or the label where the mask shows nothing of a short key."""
    if row.mask.strip("…") or not row.label:
        return row.mask
    return row.label[:_LONGEST_MASK]


def _api_key(row: ApiKey, funds_nano_usd: int | None) -> types.CredentialRecord:
    return types.CredentialRecord(
        id=row.pk,
        kind="api_key",
        label=row.label,
        mask=shown_mask(row),
        token=row.secret,
        context=secrets.field_of(row, "secret").context(row),
        origin=row.origin,
        priority=row.priority,
        weight=row.weight,
        rpm=row.rpm,
        tpm=row.tpm,
        concurrency=row.concurrency,
        retire_at_s=_seconds(row.retire_at),
        revived_at_s=_seconds(row.revived_at),
        funds_nano_usd=funds_nano_usd,
    )


def account_credential(
    row: Account, funds_nano_usd: int | None = None
) -> types.CredentialRecord:
    """Return the access token of an account, as ciphertext."""
    return types.CredentialRecord(
        id=row.pk,
        kind="account",
        label=row.label or row.subject,
        mask="",
        token=row.access_token,
        context=secrets.field_of(row, "access_token").context(row),
        origin=row.origin,
        priority=row.priority,
        token_version=row.token_version,
        expires_at_s=_seconds(row.expires_at),
        funds_nano_usd=funds_nano_usd,
    )


def model_record(row: ProviderModel, price: ModelPrice) -> types.ModelRecord:
    """Return a model with the price in force; a listed limit where it states none."""
    limits = price.limits
    return types.ModelRecord(
        id=row.pk,
        provider_id=row.provider_id,
        model_id=row.model_id,
        price=price.spec,
        price_version_id=price.version_id,
        price_source=price.source,
        max_output_tokens=row.max_output_tokens or limits.max_output,
        context_window=row.context_window or limits.context_window,
        capabilities=_capabilities(row.capabilities),
        created_s=int(row.created_at.timestamp()),
        formats=tuple(str(name) for name in row.formats),
        timeout_s=row.timeout_s,
        lacks=_refuted(row),
    )


def _capabilities(values: Any) -> tuple[str, ...]:
    if isinstance(values, dict):
        return tuple(sorted(name for name, has in values.items() if has is True))
    return tuple(str(name) for name in values)


def _refuted(row: ProviderModel) -> tuple[str, ...]:
    """Return what a model cannot do: a person's word stands above any answer."""
    stated = row.capabilities if isinstance(row.capabilities, dict) else {}
    proved = row.evidence if isinstance(row.evidence, dict) else {}
    said = {**proved, **stated}
    return tuple(sorted(name for name, has in said.items() if has is False))


def budget_record(row: Budget) -> types.BudgetRecord:
    """Return a budget."""
    return types.BudgetRecord(
        id=row.pk,
        scope=row.scope,
        amount_nano_usd=row.amount_nano_usd,
        window=row.window,
        hard=row.hard,
        time_zone=row.time_zone,
        scope_value=row.scope_value,
        extra_nano_usd=row.extra_nano_usd,
        extra_until_s=_seconds(row.extra_until),
        applies_to=row.applies_to,
        client_key_id=row.client_key_id,
        warn_nano_usd=row.warn_nano_usd,
    )


def client_key_record(
    row: dict[str, Any], budget_ids: tuple[int, ...]
) -> types.ClientKeyRecord:
    """Return a client key from its columns (``KEY_COLUMNS``)."""
    return types.ClientKeyRecord(
        id=row["id"],
        public_id=row["public_id"],
        digest=row["digest"],
        pepper_id=row["pepper_id"],
        name=row["name"],
        team_id=row["team_id"],
        expires_at_s=_seconds(row["expires_at"]),
        model_access=row["model_access"],
        models_allowed=tuple(row["models_allowed"]),
        provider_access=row["provider_access"],
        providers_allowed=tuple(row["providers_allowed"]),
        ip_allow=tuple(row["ip_allow"]),
        rpm=row["rpm"],
        tpm=row["tpm"],
        tpd=row["tpd"],
        concurrency=row["concurrency"],
        window_requests=row["window_requests"],
        window_s=row["window_s"],
        budget_ids=budget_ids,
        assumed_output_tokens=row["assumed_output_tokens"],
        unpriced=row["unpriced"],
        default_strategy=row["default_strategy"],
        default_mode=row["default_mode"],
        overrides_allowed=tuple(row["overrides_allowed"]),
        keeps_bodies=row["log_level"] == "bodies",
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
