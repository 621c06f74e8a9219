"""Add, switch and remove upstream models, and the aliases that lead to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import transaction

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.clock import Clock, SystemClock
from providers.models import Alias, AliasTarget, Provider, ProviderModel
from providers.services.errors import ServiceError

_CLOCK = SystemClock()
_MAX_NAME = 200


@transaction.atomic
def add_models(
    actor: Actor,
    provider: Provider,
    ids: Iterable[str],
    *,
    source: str = ProviderModel.Source.MANUAL,
    clock: Clock = _CLOCK,
) -> list[ProviderModel]:
    """Add models by id; ids that are there already are left as they are.

    Errors:  ServiceError when an id is blank, too long or not printable.
    """
    wanted = list(dict.fromkeys(_clean_id(name) for name in ids))
    known = set(
        provider.models.filter(deleted_at=None).values_list("model_id", flat=True)
    )
    now = clock.now()
    rows = [
        ProviderModel(
            provider=provider,
            model_id=name,
            source=source,
            created_at=now,
            seen_at=now if source == ProviderModel.Source.DISCOVERED else None,
        )
        for name in wanted
        if name not in known
    ]
    made = ProviderModel.objects.bulk_create(rows, batch_size=500)
    if made:
        version.bump(*made)
        audit.record(
            actor,
            "model.add",
            provider,
            after={"models": [row.model_id for row in made][:50], "count": len(made)},
        )
    return made


@transaction.atomic
def set_model_enabled(actor: Actor, model: ProviderModel, *, enabled: bool) -> None:
    """Offer a model to clients, or stop offering it."""
    model.enabled = enabled
    model.save(update_fields=["enabled"])
    version.bump(model)
    audit.record(actor, "model.enable" if enabled else "model.disable", model)


@transaction.atomic
def remove_model(actor: Actor, model: ProviderModel, *, clock: Clock = _CLOCK) -> None:
    """Take a model out of its provider."""
    model.deleted_at = clock.now()
    model.enabled = False
    model.save(update_fields=["deleted_at", "enabled"])
    version.bump(model)
    audit.record(actor, "model.remove", model)


@transaction.atomic
def set_alias(
    actor: Actor,
    name: str,
    targets: Sequence[str],
    *,
    description: str = "",
    clock: Clock = _CLOCK,
) -> Alias:
    """Create an alias or replace its targets, in order.

    Shapes:  a target is ``provider/model``, or a model id that any provider serves.
    Errors:  ServiceError for a blank name, no targets, or an unknown provider.
    """
    name = _clean_id(name)
    if not targets:
        raise ServiceError("An alias needs at least one target.", field="targets")
    alias = Alias.objects.filter(name=name, deleted_at=None).first()
    before = _spelled(alias) if alias else []
    if alias is None:
        alias = Alias.objects.create(name=name, created_at=clock.now())
    alias.description = description
    alias.enabled = True
    alias.save()
    alias.targets.all().delete()
    AliasTarget.objects.bulk_create(
        [_target(alias, position, text) for position, text in enumerate(targets)]
    )
    version.bump(alias)
    audit.record(
        actor,
        "alias.set",
        alias,
        before={"targets": before},
        after={"targets": list(targets)},
    )
    return alias


@transaction.atomic
def remove_alias(actor: Actor, alias: Alias, *, clock: Clock = _CLOCK) -> None:
    """Take the name away; requests for it are answered 404 from then on."""
    alias.deleted_at = clock.now()
    alias.enabled = False
    alias.save(update_fields=["deleted_at", "enabled"])
    version.bump_gone("alias", [alias.name], clock=clock)
    version.bump(alias)
    audit.record(actor, "alias.remove", alias)


def _spelled(alias: Alias) -> list[str]:
    return [
        f"{target.provider_slug}/{target.model_id}"
        if target.provider_slug
        else target.model_id
        for target in alias.targets.all()
    ]


def _target(alias: Alias, position: int, text: str) -> AliasTarget:
    slug, _, rest = text.strip().partition("/")
    provider = Provider.objects.filter(slug=slug, deleted_at=None).first()
    if rest and provider is not None:
        return AliasTarget(
            alias=alias, position=position, provider_slug=slug, model_id=_clean_id(rest)
        )
    # A model id may hold slashes itself (vendor/model), so an unknown first part is
    # only wrong when no provider serves the whole id.
    model_id = _clean_id(text)
    if not ProviderModel.objects.filter(model_id=model_id, deleted_at=None).exists():
        raise ServiceError(
            f"{text} is neither provider/model nor a model in the pool.",
            field="targets",
        )
    return AliasTarget(alias=alias, position=position, model_id=model_id)


def _clean_id(name: str) -> str:
    text = name.strip()
    if not text or len(text) > _MAX_NAME or not text.isprintable():
        raise ServiceError(
            f"A model name is 1 to {_MAX_NAME} printable characters.", field="models"
        )
    return text
