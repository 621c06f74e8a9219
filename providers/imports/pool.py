"""The product's own export: configuration without secrets, and reading it back.

A file is checked as a whole before anything is written, and written in one
transaction: a bad file changes nothing. People, client keys and budgets stay behind,
as they belong to one installation; so do a draft of the routing and its history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from django.db import transaction

from poolsite import audit
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.columns import is_plain
from pricing import selectors as price_selectors
from pricing import services as price_services
from pricing.cost import PriceSpec
from pricing.models import CustomPrice
from pricing.services import PriceError, columns_of
from pricing.versions import spec_of
from providers import selectors
from providers.models import Alias, Provider, ProviderModel
from providers.selectors_routing import defaults
from providers.services import models, providers, routing, routing_documents
from providers.services.errors import ServiceError
from providers.services.models import Target
from providers.services.values import EDITABLE

FORMAT: Final = "provider-pool"
VERSION: Final = 1
_MAX_BYTES: Final = 64 * 1024 * 1024
_SET_DEFAULT: Final = {
    "default_model": routing.set_default_model,
    "default_provider": routing.set_default_provider,
}
_MODEL_FACTS: Final = (
    "enabled",
    "source",
    "display_name",
    "context_window",
    "max_output_tokens",
    "timeout_s",
)


class ImportFileError(Exception):
    """The file cannot be taken; nothing was changed."""


class _Model(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    id: str
    enabled: bool = True
    source: str = "manual"
    display_name: str = ""
    context_window: int | None = None
    max_output_tokens: int | None = None
    timeout_s: int | None = None


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
    timeouts: dict[str, int | float] = {}
    model_access: str = "all"
    models_allowed: list[str] = []
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    billing_on_abort: str = "cancel"
    description: str = ""
    website: str = ""
    key_url: str = ""
    auth_scheme: str = ""
    options: dict[str, str] = {}
    other_formats: dict[str, str] = {}
    models: list[_Model] = []
    key_masks: list[str] = []


class _Target(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    model: str
    provider: str = ""


class _Alias(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    name: str
    targets: list[_Target]
    description: str = ""


_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Price(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Nano-USD per million units by column, as ``PriceSpec`` names them."""

    model: str
    columns: dict[str, int]
    provider: str = ""
    valid_from: _Moment | None = None
    valid_to: _Moment | None = None
    reason: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    version: int
    providers: list[_Provider] = []
    aliases: list[_Alias] = []
    prices: list[_Price] = []
    routing: dict[str, Any] | None = None
    default_model: str = ""
    default_provider: str = ""


@dataclass
class Report:
    """What an import did, or would do."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    need_keys: list[str] = field(default_factory=list)


def export_text(actor: Actor) -> str:
    """Return the configuration as JSON; secrets appear as masks only.

    Cost: two queries a provider.
    """
    listed = selectors.providers_with_counts()
    first = defaults()
    if first["default_provider"] not in {row.slug for row in listed}:
        first["default_provider"] = ""  # it was removed; no pool could take it
    data = _File(
        format=FORMAT,
        version=VERSION,
        providers=[_provider(row) for row in listed],
        aliases=[_alias(row) for row in selectors.live_aliases()],
        prices=[_price(row) for row in price_selectors.custom_prices()],
        routing=routing_documents.document(),
        **first,
    )
    audit.record(actor, "pool.export", after=_counts(data))
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()


def import_bytes(actor: Actor, raw: bytes, *, dry_run: bool = False) -> Report:
    """Create what the file names, or change what is there already.

    Errors:  ImportFileError with the place in the file; then nothing was changed.
    """
    data = _read(raw)
    try:
        return _put_all(actor, data, dry_run=dry_run)
    except (ServiceError, PriceError) as exc:
        raise ImportFileError(f"{exc} Nothing was changed.") from exc


@one_change
def _put_all(actor: Actor, data: _File, *, dry_run: bool) -> Report:
    report = Report()
    for each in data.providers:
        with _naming(f"Provider {each.id}"):
            _put_provider(actor, each, report)
    for alias in data.aliases:
        with _naming(f"Alias {alias.name}"):
            _put_alias(actor, alias, report)
    for price in data.prices:
        with _naming(f"Price of {price.model}"):
            _put_price(actor, price, report)
    with _naming("Routing"):
        _put_routing(actor, data, report)
    audit.record(actor, "pool.import", after=_counts(data))
    if dry_run:
        transaction.set_rollback(True)
    return report


class _naming:
    """Say of which entry a refusal speaks."""

    def __init__(self, what: str) -> None:
        self._what = what if len(what) <= 100 else what[:99] + "…"

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _type: Any, exc: BaseException | None, _trace: Any) -> None:
        if isinstance(exc, ServiceError | PriceError):
            raise ImportFileError(
                f"{self._what}: {exc.message} Nothing was changed."
            ) from exc


def _read(raw: bytes) -> _File:
    if len(raw) > _MAX_BYTES:
        raise ImportFileError("The file is larger than 64 MB.")
    try:
        data = msgspec.json.decode(raw, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ImportFileError(f"This is not an export of a pool: {exc}") from exc
    if data.format != FORMAT or data.version != VERSION:
        raise ImportFileError(
            f"This file is {data.format[:40]!r} version {data.version}; this release "
            f"reads {FORMAT} version {VERSION}."
        )
    _refuse_doubles("provider", (each.id for each in data.providers))
    _refuse_doubles("alias", (each.name for each in data.aliases))
    _refuse_doubles(
        "price", (f"{e.provider}:{e.model}:{e.valid_from or ''}" for e in data.prices)
    )
    for each in data.providers:
        _refuse_doubles(f"model of {each.id}", (model.id for model in each.models))
    return data


def _refuse_doubles(what: str, names: Iterable[str]) -> None:
    # The second would silently win over the first.
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ImportFileError(f"The {what} {twice[0][:100]!r} is in the file twice.")


def _provider(row: Provider) -> _Provider:
    values: dict[str, Any] = {name: getattr(row, name) for name in EDITABLE}
    return _Provider(
        id=row.slug,
        catalogue_id=row.catalogue_id,
        enabled=row.enabled,
        models=[
            _Model(
                model.model_id, **{name: getattr(model, name) for name in _MODEL_FACTS}
            )
            for model in selectors.models_of(row)
        ],
        key_masks=[key["mask"] for key in selectors.key_table(row)],
        **values,
    )


def _alias(row: Alias) -> _Alias:
    targets = [
        _Target(target.model_id, target.provider_slug)
        for target in models.targets_of(row)
    ]
    return _Alias(row.name, targets, row.description)


def _price(row: CustomPrice) -> _Price:
    return _Price(
        row.model,
        columns_of(spec_of(row.version)),
        row.provider_slug,
        row.valid_from,
        row.valid_to,
        row.reason,
    )


def _put_provider(actor: Actor, each: _Provider, report: Report) -> None:
    values = {name: getattr(each, name) for name in EDITABLE}
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
        if row.slug != each.id:
            raise ServiceError("An id has lower-case letters only.", field="slug")
    else:
        providers.update_provider(actor, row, **values)
        if row.enabled != each.enabled:
            providers.set_enabled(actor, row, enabled=each.enabled)
    _put_models(actor, row, each.models)
    _note(report, f"provider {each.id}", known=known)
    if each.key_masks and not row.api_keys.filter(deleted_at=None).exists():
        report.need_keys.append(each.id)


def _put_models(actor: Actor, provider: Provider, wanted: list[_Model]) -> None:
    models.add_models(actor, provider, [each.id for each in wanted])
    rows = {row.model_id: row for row in selectors.models_of(provider)}
    for each in wanted:
        row: ProviderModel | None = rows.get(each.id)
        if row is None:
            raise ServiceError(f"{each.id!r} is no model name.", field="models")
        facts = {name: getattr(each, name) for name in _MODEL_FACTS}
        if any(getattr(row, name) != value for name, value in facts.items()):
            models.set_model_facts(actor, row, **facts)


def _put_alias(actor: Actor, alias: _Alias, report: Report) -> None:
    live = Alias.objects.filter(name=alias.name, deleted_at=None)
    # A name no database can store is refused below.
    known = is_plain(alias.name) and live.exists()
    targets = [Target(target.model, target.provider) for target in alias.targets]
    row = models.set_alias(actor, alias.name, targets, description=alias.description)
    if row.name != alias.name:
        raise ServiceError("A name has no spaces around it.", field="name")
    _note(report, f"alias {alias.name}", known=known)


def _put_price(actor: Actor, price: _Price, report: Report) -> None:
    unknown = set(price.columns) - set(PriceSpec.__struct_fields__)
    if unknown:
        raise PriceError(f"Unknown price columns: {', '.join(sorted(unknown))[:200]}.")
    is_askable = is_plain(price.model) and is_plain(price.provider)
    known = is_askable and (
        price_selectors.custom_price(price.model, price.provider) is not None
    )
    row = price_services.set_price(
        actor,
        price.model,
        PriceSpec(**price.columns),
        provider_slug=price.provider,
        valid_from=price.valid_from,
        valid_to=price.valid_to,
        reason=price.reason,
    )
    if row.model != price.model:
        raise PriceError("A model has no spaces around it.", field="model")
    _note(report, f"price {price.model}", known=known)


def _put_routing(actor: Actor, data: _File, report: Report) -> None:
    """Put routing and defaults in force; what the file leaves out stays as it is."""
    if data.routing is not None:
        row = routing_documents.adopt(actor, data.routing, note="Imported")
        if row is not None:
            _note(report, f"routing {row.number}", known=row.number > 1)
    before = defaults()
    for name, value in before.items():
        wanted: str = getattr(data, name)
        if wanted and wanted != value:
            _SET_DEFAULT[name](actor, wanted)
            _note(report, name.replace("_", " "), known=bool(value))


def _note(report: Report, what: str, *, known: bool) -> None:
    (report.updated if known else report.created).append(what)


def _counts(data: _File) -> dict[str, int]:
    return {
        "providers": len(data.providers),
        "aliases": len(data.aliases),
        "prices": len(data.prices),
        "rules": len((data.routing or {}).get("rules", ())),
    }
