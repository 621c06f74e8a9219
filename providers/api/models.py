"""Models: discovery, differences, allowlists."""

from __future__ import annotations

from typing import Any, Literal

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema

from providers import selectors, selectors_models
from providers.api.auth import actor_of
from providers.discovery.differences import Diff, differences
from providers.discovery.facts import WORDS, gather
from providers.discovery.known import known_models
from providers.models import ModelList, Provider
from providers.routing.access import permits
from providers.services import discovery, list_rounds, models
from providers.services.errors import ServiceError

router = Router(tags=["models"])


class Chosen(Schema):
    """Model ids, at every provider that has them or at one."""

    models: list[str] = Field(max_length=500)
    provider: str = ""


class Apply(Schema):
    """Which differences to apply: of some kinds, of all models or of these."""

    kinds: list[Literal["new", "back", "changed", "gone"]] = [
        "new",
        "back",
        "changed",
        "gone",
    ]
    models: list[str] | None = Field(None, max_length=5000)


class Schedule(Schema):
    """How often lists are fetched, and whether new models are added unasked."""

    every_s: int | None = None
    auto_add: bool | None = None


@router.get("/models-schedule")
def get_schedule(request: HttpRequest) -> dict[str, Any]:
    """Return how often lists are fetched, in seconds; 0 = never."""
    return list_rounds.schedule()


@router.put("/models-schedule")
def set_schedule(request: HttpRequest, data: Schedule) -> dict[str, Any]:
    """Change how often lists are fetched."""
    return list_rounds.set_schedule(
        actor_of(request), every_s=data.every_s, auto_add=data.auto_add
    )


@router.get("/models")
def find_models(  # noqa: PLR0913 - one parameter a filter
    request: HttpRequest,
    q: str = "",
    provider: str = "",
    capability: str = "",
    probe: str = "",
    state: str = "",
    context_from: int | None = None,
    input_nano_usd_to: int | None = None,
    after: str = "",
) -> dict[str, Any]:
    """Find models across providers; ``after`` of the answer leads to the next page."""
    if capability and capability not in WORDS:
        raise ServiceError(
            f"A capability is one of {', '.join(WORDS)}.", field="capability"
        )
    wanted = selectors_models.Wanted(
        text=_plain(q),
        provider=_plain(provider),
        capability=capability,
        probe=probe,
        state=state,
        price_to=input_nano_usd_to,
        context_from=context_from,
    )
    every = selectors.providers_with_counts()
    page = selectors_models.model_page(wanted, every, after=_plain(after))
    rows = selectors_models.table_of(page)
    return {"models": rows, "total": page.total, "after": page.after}


@router.get("/models/detail")
def get_model(request: HttpRequest, id: str) -> dict[str, Any]:
    """Return who serves a model and who says what of it."""
    every = selectors.providers_with_counts()
    found = selectors_models.model_detail(_plain(id), every)
    if found is None:
        raise Http404("No provider has this model.")
    return {
        "id": found.model_id,
        "aliases": found.aliases,
        "requests_30d": found.month.requests,
        "providers": [_offer(offer, found.refused) for offer in found.offers],
    }


def _offer(
    offer: selectors_models.Offer, refused: dict[int, list[str]]
) -> dict[str, Any]:
    row, price = offer.row, offer.price.price
    known = known_models(row.provider).get(row.model_id)
    facts = gather(row.model_id, None, known, evidence=row.evidence)
    return {
        "provider": row.provider.slug,
        "enabled": row.enabled,
        "source": row.source,
        "gone_at": row.gone_at.isoformat() if row.gone_at else None,
        "context_window": row.context_window,
        "max_output_tokens": row.max_output_tokens,
        "capabilities": sorted(selectors_models.can_do(row)),
        "evidence": {
            word: {"value": fact.value, "source": fact.source}
            for word, fact in facts.capabilities.items()
        },
        "refused_fields": refused.get(row.provider_id, []),
        "input_nano_usd_per_million": price.input if price else None,
        "output_nano_usd_per_million": price.output if price else None,
        "price_source": offer.price.source,
        "probe_ok": row.probe_ok,
        "probe_at": row.probe_at.isoformat() if row.probe_at else None,
    }


@router.post("/models/enable")
def enable_models(request: HttpRequest, data: Chosen) -> dict[str, int]:
    """Offer models to clients."""
    return _switch(request, data, enabled=True)


@router.post("/models/disable")
def disable_models(request: HttpRequest, data: Chosen) -> dict[str, int]:
    """Stop offering models."""
    return _switch(request, data, enabled=False)


def _switch(request: HttpRequest, data: Chosen, *, enabled: bool) -> dict[str, int]:
    names = [_plain(name) for name in data.models]
    rows = selectors_models.rows_called(names, _plain(data.provider))
    changed = models.switch_models(actor_of(request), rows, enabled=enabled)
    return {"found": len(rows), "changed": len(changed)}


@router.post("/providers/{slug}/models-refresh")
def refresh_models(request: HttpRequest, slug: str) -> dict[str, Any]:
    """Fetch a provider's list; returns what is different, changes no model."""
    provider = _provider(slug)
    kept = discovery.refresh(provider, actor=actor_of(request))
    return _changes(provider, kept)


@router.get("/providers/{slug}/models-changes")
def get_changes(request: HttpRequest, slug: str) -> dict[str, Any]:
    """Return what the list at hand would change."""
    provider = _provider(slug)
    return _changes(provider, ModelList.objects.filter(provider=provider).first())


@router.post("/providers/{slug}/models-apply")
def apply_changes(request: HttpRequest, slug: str, data: Apply) -> dict[str, int]:
    """Apply differences; returns how many of each kind."""
    chosen = None if data.models is None else set(data.models)
    return discovery.apply(
        actor_of(request), _provider(slug), kinds=data.kinds, chosen=chosen
    )


@router.post("/providers/{slug}/models-sync")
def sync_models(request: HttpRequest, slug: str) -> list[dict[str, Any]]:
    """Fetch the list and add what is new; returns the provider's models."""
    provider = _provider(slug)
    discovery.sync(actor_of(request), provider)
    return selectors.model_table(provider)


@router.get("/providers/{slug}/models-matching")
def match_models(
    request: HttpRequest, slug: str, patterns: str, access: str = "only"
) -> list[str]:
    """Return the provider's models an allowlist would admit; commas divide patterns."""
    globs = tuple(part.strip() for part in patterns.split(",") if part.strip())[:500]
    rows = selectors.models_of(_provider(slug))
    return [row.model_id for row in rows if permits(access, globs, row.model_id)]


def _changes(provider: Provider, kept: ModelList | None) -> dict[str, Any]:
    diff = differences(provider, kept) if kept is not None else Diff()
    return {
        "listed": diff.listed,
        "kept_out": diff.kept_out,
        "shape": kept.shape if kept else "",
        "error": kept.error if kept else "",
        "fetched_at": kept.fetched_at.isoformat() if kept and kept.fetched_at else None,
        "changes": [
            {
                "kind": line.kind,
                "id": line.model_id,
                "fields": {name: [before, now] for name, before, now in line.changes},
            }
            for line in diff.lines
        ],
    }


def _plain(text: str) -> str:
    return text[:200].replace("\x00", "")


def _provider(slug: str) -> Provider:
    return get_object_or_404(Provider, slug=slug, deleted_at=None)
