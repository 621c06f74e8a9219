"""Read providers, models and aliases for screens, commands and the admin API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db.models import (
    BooleanField,
    CharField,
    Count,
    Exists,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Cast, Concat, StrIndex, Substr
from django.utils import timezone

from providers.models import (
    AccountStatus,
    Alias,
    ApiKey,
    Fact,
    Provider,
    ProviderModel,
)
from providers.routing.subjects import parse
from providers.snapshot.prices import PriceTable

_LIVE_KEY = Q(api_keys__deleted_at=None)
_LIVE_MODEL = Q(models__deleted_at=None)
_FAILING = Q(status=Provider.Status.ERROR) & ~Q(last_error="")
_MOST_RESTING = 10_000


def providers_with_counts() -> list[Provider]:
    """Return live providers, best first, with counts of keys and models.

    Shapes:  each has ``key_count``, ``usable_key_count``, ``model_count``, and
             ``moved_key_count``: keys entered for an address it had before;
             ``is_resting``: it or a key of it is not asked now;
             ``account_left`` and ``account_unit``: the least any of its accounts has
             left, None when none reports.
    Cost:    one query.
    """
    usable = _LIVE_KEY & Q(api_keys__enabled=True, api_keys__state="ok")
    moved = _LIVE_KEY & Q(api_keys__state=ApiKey.State.ORIGIN_CHANGED)
    rows = Provider.objects.filter(deleted_at=None).annotate(
        key_count=Count("api_keys", filter=_LIVE_KEY, distinct=True),
        usable_key_count=Count("api_keys", filter=usable, distinct=True),
        moved_key_count=Count("api_keys", filter=moved, distinct=True),
        model_count=Count("models", filter=_LIVE_MODEL, distinct=True),
    )
    account = _least_left()
    rows = rows.annotate(
        account_left=Subquery(account.values("left")[:1]),
        account_unit=Subquery(account.values("unit")[:1]),
    )
    return list(_with_rest(rows).order_by("-priority", "name"))


def has_providers() -> bool:
    """Tell whether there is any provider, be it switched off."""
    return Provider.objects.filter(deleted_at=None).exists()


def states_of_enabled() -> dict[str, int]:
    """Return how many enabled providers are in each state.

    Cost:    one query that answers a row for each kind of provider, not for each
             provider: every page shows the pool's state.
    """
    usable = ApiKey.objects.filter(
        provider=OuterRef("pk"), deleted_at=None, enabled=True, state="ok"
    )
    moved = ApiKey.objects.filter(
        provider=OuterRef("pk"), deleted_at=None, state=ApiKey.State.ORIGIN_CHANGED
    )
    kinds = (
        _with_rest(Provider.objects.filter(deleted_at=None, enabled=True))
        .annotate(
            has_key=_is(Exists(usable)),
            has_moved=_is(Exists(moved)),
            is_cloud=_is(Q(location=Provider.Location.CLOUD)),
            is_failing=_is(_FAILING),
            is_tested=_is(Q(tested_at__isnull=False)),
        )
        .order_by()
        .values_list(
            "has_key",
            "has_moved",
            "is_cloud",
            "is_failing",
            "is_resting",
            "is_tested",
        )
        .annotate(Count("pk"))
    )
    found: dict[str, int] = {}
    for has_key, has_moved, is_cloud, is_failing, is_resting, is_tested, count in kinds:
        state = _state(
            lacks_key=is_cloud and not has_key,
            has_moved=has_moved,
            is_broken=is_failing or is_resting,
            is_tested=is_tested,
        )
        found[state] = found.get(state, 0) + count
    return found


def _with_rest(rows: QuerySet[Provider]) -> QuerySet[Provider]:
    """Say of each whether it, or a key of it, rests.

    Cost:    cooldowns are read once: looked up one by one they would all be read for
             each provider.
    """
    numbered = rows.annotate(number=Cast("pk", CharField()))
    return numbered.annotate(is_resting=_is(Q(number__in=_resting_numbers())))


def _is(condition: Q | Exists) -> ExpressionWrapper[Q | Exists]:
    return ExpressionWrapper(condition, output_field=BooleanField())


def _resting_numbers() -> QuerySet[Fact, Any]:
    """Return, as texts, the numbers of providers that rest, or a key of them does."""
    rest = Concat(Substr("key", StrIndex("key", Value(":")) + 1), Value(":"))
    number = Substr(rest, 1, StrIndex(rest, Value(":")) - 1)
    return _resting().annotate(number=number).values("number")


def _resting() -> QuerySet[Fact]:
    """Return the cooldowns of providers and of their keys."""
    is_own = Q()
    for scope in ("provider:", "credential:", "limit:", "account:"):
        is_own |= Q(key__startswith=scope)
    return Fact.objects.filter(is_own, kind="cooldown", expires_at__gt=timezone.now())


def reasons_to_rest() -> dict[int, str]:
    """Return why providers, or a key of them, are not asked now; one query."""
    found: dict[int, str] = {}
    rows = _resting().order_by("-at", "pk").values_list("key", "payload__reason")
    for key, reason in rows[:_MOST_RESTING]:
        parts = parse(key)
        if parts is not None and parts.provider_id is not None:
            found.setdefault(parts.provider_id, str(reason))
    return found


def _least_left() -> QuerySet[AccountStatus]:
    """Look up the account of a provider with the least left."""
    rows = AccountStatus.objects.filter(provider=OuterRef("pk"), left__isnull=False)
    return rows.order_by("left", "pk")


def keys_with_accounts(provider: Provider) -> QuerySet[ApiKey]:
    """Return a provider's keys, best first, with what their accounts report.

    Shapes:  each has ``account_left``, ``account_unit``, ``account_error``,
             ``account_kind`` and ``account_at``; None where nothing was ever asked.
    Cost:    one query.
    """
    name = Concat(Value("key:"), Cast(OuterRef("pk"), CharField()))
    told = AccountStatus.objects.filter(
        provider=OuterRef("provider_id"), credential=name
    )
    return (
        provider.api_keys.filter(deleted_at=None)
        .annotate(
            account_left=Subquery(told.values("left")[:1]),
            account_unit=Subquery(told.values("unit")[:1]),
            account_error=Subquery(told.values("error")[:1]),
            account_kind=Subquery(told.values("kind")[:1]),
            account_at=Subquery(told.values("fetched_at")[:1]),
        )
        .order_by("-priority", "id")
    )


def provider_state(provider: Provider) -> str:
    """Name the provider's state in the words of the console's pills.

    Shapes:  the provider comes from ``providers_with_counts``.
    """
    if not provider.enabled:
        return "disabled"
    is_cloud = provider.location == Provider.Location.CLOUD
    is_failing = provider.last_error and provider.status == Provider.Status.ERROR
    return _state(
        lacks_key=is_cloud and not provider.usable_key_count,  # type: ignore[attr-defined] # annotated
        has_moved=bool(provider.moved_key_count),  # type: ignore[attr-defined] # annotated
        is_broken=bool(is_failing or provider.is_resting),  # type: ignore[attr-defined] # annotated
        is_tested=provider.tested_at is not None,
    )


def _state(
    *, lacks_key: bool, has_moved: bool, is_broken: bool, is_tested: bool
) -> str:
    if lacks_key:
        return "origin_changed" if has_moved else "invalid_key"
    if is_broken:
        return "degraded"
    return "healthy" if is_tested else "untested"


def provider_table() -> list[dict[str, Any]]:
    """Return one flat row a provider; one query."""
    return [
        {
            "id": provider.slug,
            "name": provider.name,
            "state": provider_state(provider),
            "format": provider.api_format,
            "base_url": provider.base_url,
            "priority": provider.priority,
            "keys": provider.key_count,  # type: ignore[attr-defined] # annotated
            "models": provider.model_count,  # type: ignore[attr-defined] # annotated
        }
        for provider in providers_with_counts()
    ]


def provider_facts(provider: Provider) -> dict[str, Any]:
    """Return what there is to know about one provider; secrets as masks.

    Shapes:  ``notice`` says what a person has to do, blank for nothing.
    Cost:    two queries.
    """
    keys = key_table(provider)
    return {
        "id": provider.slug,
        "name": provider.name,
        "enabled": provider.enabled,
        "status": provider.status,
        "type": provider.type,
        "location": provider.location,
        "base_url": provider.base_url,
        "format": provider.api_format,
        "priority": provider.priority,
        "weight": provider.weight,
        "allow_private": provider.allow_private,
        "tls_verify": provider.tls_verify,
        "auth_scheme": provider.auth_scheme,
        "options": dict(provider.options),
        "other_formats": dict(provider.other_formats),
        "headers": provider.headers,
        "timeouts": provider.timeouts,
        "model_access": provider.model_access,
        "models_allowed": provider.models_allowed,
        "rpm": provider.rpm,
        "tpm": provider.tpm,
        "concurrency": provider.concurrency,
        "billing_on_abort": provider.billing_on_abort,
        "description": provider.description,
        "website": provider.website,
        "key_url": provider.key_url,
        "last_error": provider.last_error,
        "tested_at": provider.tested_at.isoformat() if provider.tested_at else None,
        "notice": _of_old_address([key["state"] for key in keys]),
        "keys": keys,
        "models": [model.model_id for model in models_of(provider)],
    }


def moved_notice(provider: Provider) -> str:
    """Say that keys were entered for an old address, blank if none; one query."""
    keys = provider.api_keys.filter(deleted_at=None)
    return _of_old_address(keys.values_list("state", flat=True))


def _of_old_address(states: Iterable[str]) -> str:
    count = list(states).count(ApiKey.State.ORIGIN_CHANGED)
    if not count:
        return ""
    what = "1 key was" if count == 1 else f"{count} keys were"
    again = "it" if count == 1 else "them"
    return (
        f"{what} entered for the old address and will not be sent to the new one; "
        f"enter {again} again."
    )


def key_table(provider: Provider) -> list[dict[str, Any]]:
    """Return the provider's keys, masked; one query."""
    rows = provider.api_keys.filter(deleted_at=None).order_by("-priority", "id")
    return [
        {
            "id": key.pk,
            "label": key.label,
            "mask": key.mask,
            "enabled": key.enabled,
            "state": key.state,
            "created_at": key.created_at.isoformat(),
        }
        for key in rows
    ]


def model_table(provider: Provider) -> list[dict[str, Any]]:
    """Return the provider's models; one query."""
    return [
        {
            "id": model.model_id,
            "enabled": model.enabled,
            "source": model.source,
            "context_window": model.context_window,
            "max_output_tokens": model.max_output_tokens,
            "timeout_s": model.timeout_s,
        }
        for model in models_of(provider)
    ]


class ModelName(NamedTuple):
    """What a long list shows of a model."""

    pk: int
    model_id: str
    enabled: bool


def models_of(provider: Provider) -> list[ProviderModel]:
    """Return a provider's live models by name; one query."""
    rows = provider.models.filter(deleted_at=None).order_by("model_id")
    return list(rows)


def model_names(provider: Provider) -> list[ModelName]:
    """Return a provider's live models in short, by name; one query.

    Cost:  of thousands a few milliseconds; their rows take thirty times as long.
    """
    rows = provider.models.filter(deleted_at=None).order_by("model_id")
    return [ModelName(*row) for row in rows.values_list("pk", "model_id", "enabled")]


def live_aliases() -> list[Alias]:
    """Return aliases by name with their targets fetched, in order; two queries."""
    rows = Alias.objects.filter(deleted_at=None).prefetch_related("targets")
    return list(rows.order_by("name"))


def alias_table() -> list[dict[str, Any]]:
    """Return aliases with their targets, in order; two queries."""
    return [
        {
            "name": alias.name,
            "description": alias.description,
            "targets": [str(target).lstrip("/") for target in alias.targets.all()],
        }
        for alias in live_aliases()
    ]


def live_models() -> list[ProviderModel]:
    """Return every enabled model of an enabled provider, by name; one query."""
    rows = ProviderModel.objects.filter(
        deleted_at=None, enabled=True, provider__enabled=True, provider__deleted_at=None
    )
    return list(rows.select_related("provider").order_by("model_id"))


def models_with_prices(
    provider: Provider, rows: Sequence[ProviderModel | ModelName] | None = None
) -> list[dict[str, Any]]:
    """Return the provider's live models with the price in force; four queries.

    Shapes:  ``{"model", "price", "source"}``; the price None = unpriced. ``rows``
             are the models to look at, all of them by default.
    """
    prices = PriceTable.load()
    found = []
    if rows is None:
        rows = models_of(provider)
    for row in rows:
        match = prices.look(provider, row.model_id)
        found.append({"model": row, "price": match.price, "source": match.source})
    return found
