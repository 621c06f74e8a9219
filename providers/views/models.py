"""Models: the list across providers, one model, a provider's list, its allowlist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from poolsite.money import AmountError, per_million_nano_from_usd
from poolsite.ui import access
from poolsite.ui.render import refused, render, saved
from poolsite.views import actor_of
from providers import selectors, selectors_models
from providers.discovery.differences import KINDS, Diff, Line, differences, entry_of
from providers.discovery.facts import WORDS, Fact, gather
from providers.discovery.known import known_models
from providers.discovery.profile import CapabilityProfile, profile_of
from providers.models import ModelList, Provider, ProviderModel
from providers.routing.access import permits
from providers.selectors_models import Offer, Wanted
from providers.services import discovery, models, providers
from providers.services.errors import ServiceError
from providers.views import status
from providers.views.model_forms import ModelAccessForm
from providers.views.providers import live, put_error
from providers.views.words import SOURCES

_FORM = require_http_methods(["GET", "POST"])
_SHOWN: Final = 300
_MATCHES_SHOWN: Final = 40
_MOST_CHOSEN: Final = 500
CONTEXTS: Final = (8_192, 32_768, 128_000, 200_000, 1_000_000)
PROBE_WORDS: Final = {
    "ok": "answers",
    "failed": "does not answer",
    "never": "not probed",
}
STATE_WORDS: Final = {
    "on": "offered",
    "off": "switched off",
    "gone": "no longer listed",
}
EVIDENCE_WORDS: Final = {
    "by_hand": "set by hand",
    "probed": "proved by an answer",
    "declared": "declared by the provider",
    "catalogue": "from the catalogue",
    "inferred": "guessed from the name",
}
_ICONS: Final = {
    "tools": "wrench",
    "vision": "eye",
    "reasoning": "zap",
    "json_schema": "code",
    "cache": "database",
    "audio": "activity",
    "pdf": "scroll-text",
    "embeddings": "boxes",
    "image_generation": "image",
    "rerank": "list-filter",
}

# The list of all


@require_GET
def model_list(request: HttpRequest) -> HttpResponse:
    """List models of every provider; eleven queries."""
    wanted, price_to = _wanted(request)
    after = request.GET.get("after", "")[:200]
    if not after.isprintable():
        raise BadRequest("This page does not exist.")
    every = selectors.providers_with_counts()
    page = selectors_models.model_page(wanted, every, after=after)
    states = {row.pk: selectors.provider_state(row) for row in every}
    root = reverse("providers:model-detail")
    query = request.GET.copy()
    query.pop("after", None)
    is_filtered = any(query.values())
    first = f"?{query.urlencode()}" if after else ""
    query["after"] = page.after
    context = {
        "page": page,
        "rows": [_shown(row, states, root) for row in page.rows],
        "wanted": wanted,
        "price_to": price_to,
        "is_price_unread": bool(price_to) and wanted.price_to is None,
        "providers": every,
        "words": WORDS,
        "contexts": CONTEXTS,
        "probes": PROBE_WORDS.items(),
        "states": STATE_WORDS.items(),
        "is_filtered": is_filtered,
        "first": first,
        "next": f"?{query.urlencode()}" if page.after else "",
        "here": request.get_full_path(),
    }
    with status.known(every):
        return render(
            request,
            "providers/models/page.html",
            context,
            piece="providers/models/_table.html",
        )


def _wanted(request: HttpRequest) -> tuple[Wanted, str]:
    """Read the filters; what cannot be meant looks for nothing in particular."""
    data = request.GET
    price_to = data.get("price", "").strip()[:20]
    try:
        nano = per_million_nano_from_usd(price_to) if price_to else None
    except AmountError:
        nano = None
    context = data.get("context", "")
    capability = data.get("capability", "")
    wanted = Wanted(
        text=data.get("q", "").strip()[:200].replace("\x00", ""),
        provider=data.get("provider", "")[:64].replace("\x00", ""),
        capability=capability if capability in WORDS else "",
        probe=data.get("probe", ""),
        state=data.get("state", ""),
        price_to=nano,
        context_from=int(context)
        if context.isdecimal() and len(context) < 10
        else None,
    )
    return wanted, price_to


_BEST: Final = (
    "healthy",
    "untested",
    "degraded",
    "origin_changed",
    "invalid_key",
    "disabled",
)


def _shown(
    row: selectors_models.ModelRow, states: dict[int, str], root: str
) -> dict[str, Any]:
    found = [states[offer.row.provider_id] for offer in row.offers]
    best = min(found, key=lambda s: _BEST.index(s) if s in _BEST else 3)
    match = row.cheapest
    able = set(row.capabilities)
    return {
        "model": row,
        "url": f"{root}?{urlencode({'id': row.model_id})}",
        "state": best,
        "price": match.price if match else None,
        "source": SOURCES.get(match.source, match.source) if match else "",
        "can": [(_ICONS[word], word) for word in _ICONS if word in able],
        "slugs": ", ".join(offer.row.provider.slug for offer in row.offers[:20]),
    }


def detail_url(model_id: str) -> str:
    """Return the address of one model: its id may hold anything, slashes too."""
    return f"{reverse('providers:model-detail')}?{urlencode({'id': model_id})}"


@require_POST
@access.require_role(access.OPERATOR)
def models_switch(request: HttpRequest, switch: str) -> HttpResponse:
    """Offer chosen models at every provider, stop offering or go to probe them."""
    if switch not in ("enable", "disable", "probe"):
        raise Http404("There is no such page.")
    only = request.POST.get("only", "")
    names = [only] if only else request.POST.getlist("model")[:_MOST_CHOSEN]
    back = _back(request)
    rows = selectors_models.rows_called(
        [name for name in names if "\x00" not in name],
        request.POST.get("provider", "")[:64].replace("\x00", ""),
    )
    if not rows:
        return refused(request, back, "Choose at least one model.")
    if switch == "probe":
        ids = ",".join(str(row.pk) for row in rows)
        return redirect(f"{reverse('providers:probe-start')}?{urlencode({'ids': ids})}")
    changed = models.switch_models(actor_of(request), rows, enabled=switch == "enable")
    count = len({row.model_id for row in changed})
    word = "model was" if count == 1 else "models were"
    return saved(request, back, f"{count} {word} {switch}d.")


def _back(request: HttpRequest) -> str:
    """Return to the page the form stood on; only to this screen's own addresses."""
    here = request.POST.get("here", "")
    root = reverse("providers:model-list")
    is_own = here.startswith(root) and here.isprintable() and len(here) < 2000
    return here if is_own else root


# One model


@dataclass(frozen=True)
class Served:
    """One provider's side of a model, with who says what of it."""

    offer: Offer
    state: str
    source: str
    context: Fact | None
    output: Fact | None
    capabilities: dict[str, Fact]
    profile: CapabilityProfile
    refused: Sequence[str]
    is_allowed: bool


@require_GET
def model_detail(request: HttpRequest) -> HttpResponse:
    """Show one model: who serves it, what it can do and who says so; twelve queries."""
    name = request.GET.get("id", "")[:200].replace("\x00", "")
    every = selectors.providers_with_counts()
    found = selectors_models.model_detail(name, every)
    if found is None:
        raise Http404("No provider has this model. It may have been removed.")
    context = {
        "found": found,
        "served": [_served(offer, found.refused) for offer in found.offers],
        "evidence_words": EVIDENCE_WORDS,
        "here": detail_url(name),
        "more": found.served_by - len(found.offers),
    }
    with status.known(every):
        return render(request, "providers/models/detail.html", context)


def _served(offer: Offer, refusals: dict[int, list[str]]) -> Served:
    row, provider = offer.row, offer.row.provider
    listed = entry_of(getattr(row, "kept_list", None), row.model_id)
    known = known_models(provider).get(row.model_id, listed.family if listed else "")
    facts = gather(row.model_id, listed, known, evidence=row.evidence)
    return Served(
        offer=offer,
        state=selectors.provider_state(provider),
        source=SOURCES.get(offer.price.source, offer.price.source),
        context=_told(row, "context_window", facts.context_window),
        output=_told(row, "max_output_tokens", facts.max_output_tokens),
        capabilities=dict(facts.capabilities),
        profile=profile_of(
            provider.api_format,
            row.model_id,
            provider_id=provider.slug,
            is_local=provider.location == Provider.Location.LOCAL,
            is_media=provider.type == Provider.Type.MEDIA,
        ),
        refused=refusals.get(provider.pk, ()),
        is_allowed=permits(
            provider.model_access, tuple(provider.models_allowed), row.model_id
        ),
    )


def _told(row: ProviderModel, name: str, found: Fact | None) -> Fact | None:
    """Return what the pool goes by, and who said it."""
    value = getattr(row, name)
    if value is None:
        return found
    if name in row.by_hand or found is None or found.value != value:
        return Fact(value, "by_hand" if name in row.by_hand else "declared")
    return found


# A provider's list


@require_POST
@access.require_role(access.OPERATOR)
def model_sync(request: HttpRequest, slug: str) -> HttpResponse:
    """Fetch a provider's list now and show what is different; nothing is changed."""
    provider = live(slug)
    kept = discovery.refresh(provider, actor=actor_of(request))
    if kept.error:
        return refused(request, _url(provider), f"Nothing changed. {kept.error}")
    diff = differences(provider, kept)
    url = reverse("providers:model-changes", args=[slug])
    if not diff.lines:
        text = f"{diff.listed} models listed, nothing new."
        return saved(request, _url(provider), text)
    return saved(request, url, f"{diff.listed} models listed.")


@_FORM
@access.require_role(access.OPERATOR)
def model_changes(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the kept list would change, and apply what was chosen; ten queries."""
    provider = live(slug)
    if request.method == "POST":
        return _apply(request, provider)
    kept = ModelList.objects.filter(provider=provider).first()
    diff = differences(provider, kept) if kept else Diff()
    context = {
        "provider": provider,
        "kept": kept,
        "diff": diff,
        "groups": [_group(diff, kind) for kind in KINDS if diff.of(kind)],
        "evidence_words": EVIDENCE_WORDS,
    }
    return render(request, "providers/models/changes.html", context)


_TITLES: Final = {
    "new": ("New", "Listed by the provider, not in the pool yet."),
    "back": (
        "Back again",
        "Were gone and are listed again; switches are as they were.",
    ),
    "changed": ("Changed", "Facts only. Switches and what you set by hand stay."),
    "gone": (
        "No longer listed",
        "Stay in the pool with their switches, but are not asked until listed again.",
    ),
}


def _group(diff: Diff, kind: str) -> dict[str, Any]:
    lines: list[Line] = diff.of(kind)
    title, text = _TITLES[kind]
    return {
        "kind": kind,
        "title": title,
        "text": text,
        "lines": lines[:_SHOWN],
        "count": len(lines),
        "hidden": max(0, len(lines) - _SHOWN),
    }


def _apply(request: HttpRequest, provider: Provider) -> HttpResponse:
    actor = actor_of(request)
    every = request.POST.get("all", "")
    try:
        if every:
            kinds = KINDS if every == "every" else (every,)
            done = discovery.apply(actor, provider, kinds=kinds)
        else:
            chosen = set(request.POST.getlist("line")[: _SHOWN * len(KINDS)])
            done = discovery.apply(actor, provider, chosen=chosen)
    except ServiceError as exc:
        return refused(request, _url(provider), exc.message)
    told = [
        f"{count} {_TITLES[kind][0].lower()}" for kind, count in done.items() if count
    ]
    text = f"Applied: {', '.join(told)}." if told else "Nothing was chosen."
    return saved(request, _url(provider), text)


@_FORM
@access.require_role(access.OPERATOR)
def model_access(request: HttpRequest, slug: str) -> HttpResponse:
    """Say which models of a provider may be used, with what that matches."""
    provider = live(slug)
    form = ModelAccessForm(request.POST or None, provider=provider)
    is_preview = "preview" in request.POST or "preview" in request.GET
    if form.is_valid() and not is_preview:
        try:
            providers.update_provider(actor_of(request), provider, **form.cleaned_data)
        except ServiceError as exc:
            put_error(form, exc)
        else:
            return saved(request, _url(provider), "Saved.")
    rule = form.rule()
    rows = provider.models.filter(deleted_at=None)
    names = sorted(rows.values_list("model_id", flat=True))
    matching = [name for name in names if permits(*rule, name)]
    context = {
        "form": form,
        "provider": provider,
        "total": len(names),
        "matching": len(matching),
        "shown": matching[:_MATCHES_SHOWN],
        "hidden": max(0, len(matching) - _MATCHES_SHOWN),
    }
    return render(
        request,
        "providers/models/access.html",
        context,
        piece="providers/models/_matches.html",
        status=200 if is_preview else None,
    )


def _url(provider: Provider) -> str:
    return reverse("providers:provider-detail", args=[provider.slug])
