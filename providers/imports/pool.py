"""The product's own export: configuration without secrets, and reading it back.

A file is checked as a whole before anything is written, and written in one
transaction: a bad file changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from django.db import transaction

from poolsite.actor import Actor
from pricing import selectors as price_selectors
from pricing import services as price_services
from pricing.cost import PriceSpec
from pricing.models import CustomPrice
from pricing.services import PriceError
from pricing.versions import spec_of
from providers import selectors
from providers.models import Alias, Provider
from providers.services import models, providers
from providers.services.errors import ServiceError

FORMAT: Final = "provider-pool"
VERSION: Final = 1
_MAX_BYTES: Final = 64 * 1024 * 1024
_VALUES: Final = (
    "name",
    "base_url",
    "api_format",
    "location",
    "priority",
    "weight",
    "allow_private",
    "tls_verify",
    "headers",
    "model_access",
    "models_allowed",
    "rpm",
    "tpm",
    "concurrency",
)


class ImportFileError(Exception):
    """The file cannot be taken; nothing was changed."""


class _Provider(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    id: str
    base_url: str
    name: str = ""
    catalogue_id: str = ""
    enabled: bool = True
    api_format: str = "openai"
    location: str = "cloud"
    priority: int = 50
    weight: int = 1
    allow_private: bool = False
    tls_verify: bool = True
    headers: dict[str, str] = {}
    model_access: str = "all"
    models_allowed: list[str] = []
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    models: list[str] = []
    key_masks: list[str] = []


class _Alias(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    name: str
    targets: list[str]
    description: str = ""


class _Price(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Nano-USD per million units by column, as ``PriceSpec`` names them."""

    model: str
    columns: dict[str, int]
    provider: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    version: int
    providers: list[_Provider] = []
    aliases: list[_Alias] = []
    prices: list[_Price] = []


@dataclass
class Report:
    """What an import did, or would do."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    need_keys: list[str] = field(default_factory=list)


def export_text() -> str:
    """Return the configuration as JSON; secrets appear as masks only.

    Cost: two queries a provider.
    """
    data = _File(
        format=FORMAT,
        version=VERSION,
        providers=[_provider(row) for row in selectors.providers_with_counts()],
        aliases=[_Alias(**row) for row in selectors.alias_table()],
        prices=[
            _Price(
                model=row.model,
                provider=row.provider_slug,
                columns=_columns(spec_of(row.version)),
            )
            for row in CustomPrice.objects.filter(deleted_at=None).select_related(
                "version"
            )
        ],
    )
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()


def import_bytes(actor: Actor, raw: bytes, *, dry_run: bool = False) -> Report:
    """Create what the file names, or change what is there already.

    Errors:  ImportFileError with the place in the file; then nothing was changed.
    """
    data = _read(raw)
    report = Report()
    try:
        with transaction.atomic():
            for each in data.providers:
                _put_provider(actor, each, report)
            for alias in data.aliases:
                known = Alias.objects.filter(name=alias.name, deleted_at=None).exists()
                models.set_alias(
                    actor, alias.name, alias.targets, description=alias.description
                )
                _note(report, f"alias {alias.name}", known=known)
            for price in data.prices:
                _put_price(actor, price, report)
            if dry_run:
                transaction.set_rollback(True)
    except (ServiceError, PriceError) as exc:
        raise ImportFileError(f"{exc} Nothing was changed.") from exc
    return report


def _read(raw: bytes) -> _File:
    if len(raw) > _MAX_BYTES:
        raise ImportFileError("The file is larger than 64 MB.")
    try:
        data = msgspec.json.decode(raw, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ImportFileError(f"This is not an export of a pool: {exc}") from exc
    if data.format != FORMAT or data.version != VERSION:
        raise ImportFileError(
            f"This file is {data.format} version {data.version}; this release reads "
            f"{FORMAT} version {VERSION}."
        )
    return data


def _provider(row: Provider) -> _Provider:
    values: dict[str, Any] = {name: getattr(row, name) for name in _VALUES}
    return _Provider(
        id=row.slug,
        catalogue_id=row.catalogue_id,
        enabled=row.enabled,
        models=[model["id"] for model in selectors.model_table(row)],
        key_masks=[key["mask"] for key in selectors.key_table(row)],
        **values,
    )


def _put_provider(actor: Actor, each: _Provider, report: Report) -> None:
    values = {name: getattr(each, name) for name in _VALUES}
    values["name"] = each.name or each.id
    row = Provider.objects.filter(slug=each.id, deleted_at=None).first()
    known = row is not None
    if row is None:
        row = providers.create_provider(
            actor,
            slug=each.id,
            catalogue_id=each.catalogue_id,
            enabled=each.enabled,
            **values,
        )
    else:
        providers.update_provider(actor, row, **values)
    if each.models:
        models.add_models(actor, row, each.models)
    _note(report, f"provider {each.id}", known=known)
    if each.key_masks and not row.api_keys.filter(deleted_at=None).exists():
        report.need_keys.append(each.id)


def _put_price(actor: Actor, price: _Price, report: Report) -> None:
    unknown = set(price.columns) - set(PriceSpec.__struct_fields__)
    if unknown:
        raise PriceError(f"Unknown price columns: {', '.join(sorted(unknown))}.")
    known = price_selectors.custom_price(price.model, price.provider) is not None
    price_services.set_price(
        actor, price.model, PriceSpec(**price.columns), provider_slug=price.provider
    )
    _note(report, f"price {price.model}", known=known)


def _columns(spec: PriceSpec) -> dict[str, int]:
    return {
        name: value
        for name in PriceSpec.__struct_fields__
        if (value := getattr(spec, name)) is not None
    }


def _note(report: Report, what: str, *, known: bool) -> None:
    (report.updated if known else report.created).append(what)
