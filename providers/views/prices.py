"""Pricing: what each model costs and why, the prices people set, what has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from poolsite.money import format_price
from poolsite.ui import access
from poolsite.ui.render import Confirmation, confirm, render, saved
from poolsite.views import actor_of
from pricing import matcher, selectors, units
from pricing.cost import PriceSpec
from pricing.guard import slips
from pricing.models import CustomPrice, PriceVersion
from pricing.selectors import DEFAULT_MODEL
from pricing.services import PriceError, remove_price
from pricing.units import Example
from pricing.versions import spec_of
from providers.models import Provider
from providers.selectors import providers_with_counts
from providers.services import price_list as listed
from providers.services import prices, unpriced
from providers.services.price_list import GROUPS, Known, PriceFilters, PriceRow
from providers.services.prices import PriceDoubtError
from providers.views import status
from providers.views.price_forms import PriceForm
from providers.views.words import SOURCES

_FORM = require_http_methods(["GET", "POST"])
_NAMED = 5
_FOUND = {
    matcher.CUSTOM_PROVIDER: "A price set by hand for this model at this provider.",
    matcher.CUSTOM_MODEL: "A price set by hand for this model, whoever serves it.",
    matcher.CUSTOM_PATTERN: "A price set by hand for a pattern that fits its id.",
    matcher.LOCAL: "It runs on your own machines, where nobody charges by the token.",
    matcher.BOOK: "The price book lists it under this entry.",
    matcher.HEURISTIC: "Nobody lists it. Guessed from what models of its family and "
    "tier cost; set a price if you know better.",
    matcher.DEFAULT: "Nobody lists it, so the default price stands in.",
    matcher.UNKNOWN: "Nobody lists it, and its family gives no safe guess.",
}


class Column(NamedTuple):
    """One column of a price in words: label, amount, what it is for."""

    label: str
    shown: str
    unit: str


class Line(NamedTuple):
    """One row of the list, with the address of its page."""

    row: PriceRow
    link: str
    source_words: str
    pieces: str


@dataclass(frozen=True)
class Override:
    """A price a person set, with the state it is in."""

    row: CustomPrice
    spec: PriceSpec
    state: str

    @property
    def is_default(self) -> bool:
        """Tell whether it is the price of whatever has none."""
        return self.row.model == DEFAULT_MODEL

    @property
    def pieces(self) -> str:
        """Word what it costs by the piece."""
        return _pieces(self.spec)


# Pages


@require_GET
def price_list(request: HttpRequest) -> HttpResponse:
    """List what each model costs at each provider; at most 12 queries."""
    providers = providers_with_counts()
    known = Known.of(providers)
    filters = _filters(request.GET)
    page = listed.page_of_prices(filters, _number(request.GET), known=known)
    context = {
        "page": page,
        "lines": [_line(row) for row in page.rows],
        "filters": filters,
        "groups": [(name, words) for name, (words, _) in GROUPS.items()],
        "providers": [(row.slug, row.name) for row in known.providers.values()],
        "open_traffic": unpriced.open_traffic(known.table, providers),
        "newer": _page_link(request.GET, page.number - 1, page.last),
        "older": _page_link(request.GET, page.number + 1, page.last),
        "tab": "effective",
    }
    with status.known(providers):
        return render(
            request,
            "providers/prices/page.html",
            context,
            piece="providers/prices/_table.html",
        )


@require_GET
def price_detail(request: HttpRequest) -> HttpResponse:
    """Show one model's price: each column, its source, its past."""
    slug = request.GET.get("provider", "")[:64]
    providers = providers_with_counts()
    row = listed.price_of(slug, request.GET.get("model", "")[:200], Known.of(providers))
    if row is None:
        raise Http404("No provider serves this model now. It may have been removed.")
    public = listed.without_own(row)
    context = {
        "row": row,
        "link": _address("providers:price-set", row),
        "columns": _columns(row.price),
        "examples": units.examples(row.price) if row.price else [],
        "how": _FOUND.get(row.source, ""),
        "source_words": SOURCES.get(row.source, row.source),
        "is_guess": row.source == matcher.HEURISTIC,
        "public": public if row.source.startswith("custom") else None,
        "public_words": SOURCES.get(public.source, public.source),
        "public_columns": _columns(public.price),
        "versions": [_past(*each) for each in listed.past_versions(row)],
    }
    with status.known(providers):
        return render(request, "providers/prices/detail.html", context)


@require_GET
def override_list(request: HttpRequest) -> HttpResponse:
    """List the prices people set, of any time, and the default."""
    now = timezone.now()
    holding = {row.pk for row in selectors.prices_in_force(now)}
    every = [
        Override(row, spec_of(row.version), selectors.state_of(row, holding, now))
        for row in selectors.custom_prices()
    ]
    text = request.GET.get("q", "").strip()[:200].lower()
    found = [each for each in every if text in f"{each.row}".lower()]
    context = {
        "overrides": [each for each in found if not each.is_default],
        "defaults": [each for each in every if each.is_default],
        "default_model": DEFAULT_MODEL,
        "total": len(every),
        "q": text,
        "tab": "overrides",
    }
    return render(
        request,
        "providers/prices/overrides.html",
        context,
        piece="providers/prices/_overrides.html",
    )


@_FORM
@access.require_role(access.OPERATOR)
def price_set(request: HttpRequest) -> HttpResponse:
    """Set the price of a model, a pattern or the unknown."""
    model = request.GET.get("model", "")[:200]
    slug = request.GET.get("provider", "")[:64]
    known = None
    if request.method == "GET" and model and slug:
        row = listed.price_of(slug, model)
        known = row.price if row and row.source != matcher.LOCAL else None
    form = PriceForm(
        request.POST if request.method == "POST" else None,
        initial={"model": model, "provider": slug},
        providers=_providers(),
        known=known,
    )
    return _answer(request, form)


@_FORM
@access.require_role(access.OPERATOR)
def price_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a price that was set."""
    row = _live(pk)
    data = request.POST if request.method == "POST" else None
    return _answer(request, PriceForm(data, row=row))


# Actions


@_FORM
@access.require_role(access.OPERATOR)
def price_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Go back to what the book says."""
    row = _live(pk)
    question = Confirmation(
        title=f"Remove the price of {_name(row)}?",
        verb="Remove price",
        back=reverse("providers:price-overrides"),
        consequences=(
            "From now on the provider's own list, the price book or a guess counts.",
            "A model nobody lists becomes unpriced.",
            "What was billed keeps its price.",
        ),
    )
    if request.method == "GET":
        return confirm(request, question)
    remove_price(actor_of(request), row)
    message = f"The price of {_name(row)} was removed."
    return saved(request, "providers:price-overrides", message)


# Private helpers


def _answer(request: HttpRequest, form: PriceForm) -> HttpResponse:
    """Show, preview or save a form."""
    is_valid = form.is_valid()
    if "preview" in request.GET and request.method == "POST":
        return _preview(request, form)
    if is_valid and (message := _save(request, form)):
        return saved(request, "providers:price-overrides", message)
    context = {"form": form, **_shown(form)}
    return render(request, "providers/prices/form.html", context)


def _save(request: HttpRequest, form: PriceForm) -> str:
    """Save a valid form and return what to say; blank when it now has an error."""
    new, actor = form.new_price(), actor_of(request)
    confirmed = form.cleaned_data["confirmed"]
    try:
        if form.row is None:
            row = prices.set_price(actor, new, confirmed=confirmed)
        else:
            row = prices.change_price(actor, form.row, new, confirmed=confirmed)
    except PriceDoubtError as exc:
        form.doubt(exc)
        return ""
    except PriceError as exc:
        form.add_error(exc.field if exc.field in form.fields else None, exc.message)
        return ""
    return f"The price of {_name(row)} was saved."


def _preview(request: HttpRequest, form: PriceForm) -> HttpResponse:
    """Answer the example of what is typed; nothing is saved."""
    return render(
        request,
        "providers/prices/_example.html",
        {"form": form, **_shown(form, with_doubts=True)},
        piece="providers/prices/_example.html",
        status=200,
    )


def _shown(form: PriceForm, *, with_doubts: bool = False) -> dict[str, Any]:
    """Return the worked example and whom the price is for."""
    model, provider = _asked(form)
    covers = prices.matching(model, provider)
    spec = form.spec if form.is_bound else _initial_spec(form)
    found: list[str] = []
    if with_doubts:
        known = prices.references(model, provider)
        found = [slip.words for slip in slips(spec, known)]
    return {
        "examples": _known(units.examples(spec)),
        "covers": len(covers),
        "covered": [f"{row.provider.slug}/{row.model_id}" for row in covers[:_NAMED]],
        "more": max(0, len(covers) - _NAMED),
        "model": model,
        "is_default": model == DEFAULT_MODEL,
        "found_doubts": found,
    }


def _asked(form: PriceForm) -> tuple[str, str]:
    if form.row is not None:
        return form.row.model, form.row.provider_slug
    source = form.data if form.is_bound else form.initial
    model = str(source.get("model") or "")[:200].strip()
    return model, str(source.get("provider") or "")[:64]


def _initial_spec(form: PriceForm) -> PriceSpec:
    """Return the price a fresh form shows."""
    if form.row is not None:
        return spec_of(form.row.version)
    return form.known or PriceSpec()


def _known(found: list[Example]) -> list[Example]:
    return [each for each in found if each.nano_usd is not None]


def _filters(query: QueryDict) -> PriceFilters:
    source = query.get("source", "")
    return PriceFilters(
        source=source if source in GROUPS else "",
        provider=query.get("provider", "").strip()[:64],
        text=query.get("q", "").strip()[:200],
    )


def _number(query: QueryDict) -> int:
    text = query.get("page", "")
    return int(text) if text.isdecimal() and len(text) < 7 else 1


def _page_link(query: QueryDict, number: int, last: int) -> str:
    if not 1 <= number <= last:
        return ""
    changed = query.copy()
    changed["page"] = str(number)
    return f"?{changed.urlencode()}"


def _providers() -> list[tuple[str, str]]:
    rows = Provider.objects.filter(deleted_at=None).order_by("name", "slug")
    return [
        (slug, f"{name} ({slug})") for slug, name in rows.values_list("slug", "name")
    ]


def _line(row: PriceRow) -> Line:
    words = SOURCES.get(row.source, row.source)
    return Line(row, _address("providers:price-detail", row), words, _pieces(row.price))


def _address(name: str, row: PriceRow) -> str:
    query = urlencode({"provider": row.provider.slug, "model": row.model_id})
    return f"{reverse(name)}?{query}"


def _columns(price: PriceSpec | None) -> list[Column]:
    """Word every column a price has."""
    if price is None:
        return []
    found = []
    for name, label in units.LABELS.items():
        value = getattr(price, name)
        if value is None:
            continue
        if name == units.THRESHOLD:
            found.append(Column(label, f"{value:,}", "tokens"))
        else:
            found.append(Column(label, _amount(name, value), units.unit_of(name)))
    return found


def _amount(name: str, value: int) -> str:
    if name in units.PIECES:
        return f"${units.write_price(value, per=units.ONE)}"
    return format_price(value)


def _pieces(price: PriceSpec | None) -> str:
    """Word what a price has by the piece, in one line."""
    named = [
        f"{_amount(name, value)} {label.lower()}"
        for name, label in units.PIECES.items()
        if price is not None and (value := getattr(price, name)) is not None
    ]
    return ", ".join(named)


def _past(version: PriceVersion, spec: PriceSpec) -> dict[str, Any]:
    words = "set by hand" if version.source == "custom" else SOURCES.get(version.source)
    return {
        "version": version,
        "spec": spec,
        "words": words or version.source,
        "pieces": _pieces(spec),
    }


def _name(row: CustomPrice) -> str:
    return "unknown models" if row.model == DEFAULT_MODEL else str(row)


def _live(pk: int) -> CustomPrice:
    rows = CustomPrice.objects.filter(deleted_at=None).select_related("version")
    return access.find(rows, "price", pk=pk)
