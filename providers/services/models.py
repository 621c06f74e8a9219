"""Add, switch and remove upstream models, and the aliases that lead to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from poolsite import audit, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.columns import ColumnError, check_columns, is_plain
from providers.models import Alias, AliasTarget, Provider, ProviderModel
from providers.services.errors import ServiceError

_CLOCK = SystemClock()
_MAX_NAME: Final = 200
_MOST_TARGETS: Final = 100
_DISCOVERABLE: Final = frozenset(
    {"display_name", "context_window", "max_output_tokens", "deprecated"}
)
FACTS: Final = _DISCOVERABLE | {"enabled", "source", "description", "timeout_s"}
_LONGEST_S: Final = 86_400


class Target(NamedTuple):
    """Where an alias leads; a blank provider means whoever serves the model."""

    model_id: str
    provider_slug: str = ""

    def __str__(self) -> str:
        slug = self.provider_slug
        return f"{slug}/{self.model_id}" if slug else self.model_id


@one_change
def add_models(
    actor: Actor,
    provider: Provider,
    ids: Iterable[str],
    *,
    source: str = ProviderModel.Source.MANUAL,
    clock: Clock = _CLOCK,
) -> list[ProviderModel]:
    """Add models by id; ids that are there already are left as they are.

    Errors:  ServiceError when an id is blank, too long or not printable, or when the
             provider was removed.
    """
    if not Provider.objects.filter(pk=provider.pk, deleted_at=None).exists():
        raise ServiceError(f"The provider {provider.slug} was removed.")
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


@one_change
def set_model_facts(actor: Actor, model: ProviderModel, **facts: Any) -> None:
    """Set what is known of a model: FACTS; nothing happens when all is so already.

    A list of the provider never replaces what was set here by hand.

    Errors:  ServiceError naming the field.
    """
    unknown = set(facts) - FACTS
    if unknown:
        raise ServiceError(f"Unknown settings: {', '.join(sorted(unknown))}.")
    model.refresh_from_db()
    before = {name: getattr(model, name) for name in facts}
    changed = {name: value for name, value in facts.items() if before[name] != value}
    if not changed:
        return
    for name, value in changed.items():
        setattr(model, name, value)
    try:
        check_columns(model, sorted(changed))
    except ColumnError as exc:
        raise ServiceError(str(exc), field=exc.field) from exc
    if model.timeout_s is not None and not 1 <= model.timeout_s <= _LONGEST_S:
        raise ServiceError(f"Between 1 and {_LONGEST_S} seconds.", field="timeout_s")
    # What an import says came from a list is still a list's.
    if facts.get("source", ProviderModel.Source.MANUAL) == ProviderModel.Source.MANUAL:
        model.by_hand = sorted({*model.by_hand, *(_DISCOVERABLE & facts.keys())})
    model.save(update_fields=[*sorted(changed), "by_hand"])
    version.bump(model)
    old = {name: before[name] for name in changed}
    audit.record(actor, "model.update", model, before=old, after=changed)


@one_change
def set_model_enabled(actor: Actor, model: ProviderModel, *, enabled: bool) -> None:
    """Offer a model to clients, or stop offering it.

    Errors:  ServiceError for a model that was removed.
    """
    model.refresh_from_db()
    if model.deleted_at is not None:
        raise ServiceError("This model was removed.")
    model.enabled = enabled
    model.save(update_fields=["enabled"])
    version.bump(model)
    audit.record(actor, "model.enable" if enabled else "model.disable", model)


@one_change
def switch_models(
    actor: Actor, models: Iterable[ProviderModel], *, enabled: bool
) -> list[ProviderModel]:
    """Offer many models to clients, or stop offering them; return what changed."""
    ids = [model.pk for model in models]
    rows = list(
        ProviderModel.objects.filter(
            pk__in=ids, deleted_at=None, provider__deleted_at=None
        )
        .exclude(enabled=enabled)
        .order_by("pk")
    )
    if not rows:
        return []
    for row in rows:
        row.enabled = enabled
    ProviderModel.objects.filter(pk__in=[row.pk for row in rows]).update(
        enabled=enabled
    )
    version.bump(*rows)
    audit.record(
        actor,
        "model.enable" if enabled else "model.disable",
        after={"models": [row.model_id for row in rows][:50], "count": len(rows)},
    )
    return rows


@one_change
def remove_model(actor: Actor, model: ProviderModel, *, clock: Clock = _CLOCK) -> None:
    """Take a model out of its provider; aliases that name it lead past it."""
    model.refresh_from_db()
    if model.deleted_at is not None:
        return
    model.deleted_at = clock.now()
    model.enabled = False
    model.save(update_fields=["deleted_at", "enabled"])
    version.bump(model)
    audit.record(actor, "model.remove", model)


@one_change
def set_alias(
    actor: Actor,
    name: str,
    targets: Sequence[str | Target],
    *,
    description: str = "",
    is_new: bool = False,
    clock: Clock = _CLOCK,
) -> Alias:
    """Create an alias or replace its targets, in order; a new one replaces none.

    Shapes:  a text is ``provider/model``, or a model id that any provider serves; a
             ``Target`` is taken as it is, also when nothing serves it yet.
    Errors:  ServiceError for a blank name, no targets, or an unknown target.
    """
    name = _clean_id(name)
    if not 0 < len(targets) <= _MOST_TARGETS:
        raise ServiceError(
            f"An alias needs 1 to {_MOST_TARGETS} targets.", field="targets"
        )
    found = [
        _checked(each) if isinstance(each, Target) else read_target(each)
        for each in targets
    ]
    if len(set(found)) < len(found):
        raise ServiceError("A target is named twice.", field="targets")
    alias = Alias.objects.filter(name=name, deleted_at=None).first()
    if alias is not None and is_new:
        raise ServiceError("There is such an alias already.", field="name")
    before = [str(target) for target in targets_of(alias)] if alias else []
    if alias is None:
        alias = Alias(name=name, created_at=clock.now())
    alias.description = description.strip()
    alias.enabled = True
    _check_alias(alias)
    alias.save()
    alias.targets.all().delete()
    AliasTarget.objects.bulk_create(
        [
            AliasTarget(alias=alias, position=place, **target._asdict())
            for place, target in enumerate(found)
        ]
    )
    version.bump(alias)
    audit.record(
        actor,
        "alias.set",
        alias,
        before={"targets": before},
        after={"targets": [str(target) for target in found]},
    )
    return alias


@one_change
def remove_alias(actor: Actor, alias: Alias, *, clock: Clock = _CLOCK) -> None:
    """Take the name away; requests for it are answered 404 from then on."""
    alias.refresh_from_db()
    if alias.deleted_at is not None:
        return
    alias.deleted_at = clock.now()
    alias.enabled = False
    alias.save(update_fields=["deleted_at", "enabled"])
    version.bump_gone("alias", [alias.name], clock=clock)
    version.bump(alias)
    audit.record(actor, "alias.remove", alias)


def targets_of(alias: Alias) -> list[Target]:
    """Return where an alias leads, in order; one query."""
    return [Target(row.model_id, row.provider_slug) for row in alias.targets.all()]


def read_target(text: str) -> Target:
    """Read ``provider/model``, or a model id that any provider serves.

    Errors:  ServiceError when the pool has neither.
    """
    slug, _, rest = text.strip().partition("/")
    served = ProviderModel.objects.filter(
        deleted_at=None, provider__deleted_at=None, provider__slug=slug, model_id=rest
    )
    if rest and served.exists():
        return Target(_clean_id(rest), slug)
    # A model id may hold slashes itself (vendor/model), so a first part that is no
    # provider is only wrong when nobody serves the whole id.
    model_id = _clean_id(text)
    if not ProviderModel.objects.filter(
        model_id=model_id, deleted_at=None, provider__deleted_at=None
    ).exists():
        raise ServiceError(
            f"{text} is neither provider/model nor a model in the pool.",
            field="targets",
        )
    return Target(model_id)


def _checked(target: Target) -> Target:
    row = AliasTarget(**target._asdict())
    try:
        check_columns(row, ["provider_slug"])
    except ColumnError as exc:
        raise ServiceError(str(exc), field="targets") from exc
    return Target(_clean_id(target.model_id), target.provider_slug)


def _check_alias(alias: Alias) -> None:
    try:
        check_columns(alias, ["name", "description"])
    except ColumnError as exc:
        raise ServiceError(str(exc), field=exc.field) from exc


def _clean_id(name: str) -> str:
    text = name.strip()
    if (
        not text
        or len(text) > _MAX_NAME
        or not text.isprintable()
        or not is_plain(text)
    ):
        raise ServiceError(
            f"A model name is 1 to {_MAX_NAME} printable characters.", field="models"
        )
    return text
