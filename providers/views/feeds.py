"""Catalogue updates: the public sources of models and prices, and what they changed."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
)

from poolsite.ui import access
from poolsite.ui.render import Confirmation, confirm, refused, render, saved
from poolsite.views import actor_of
from pricing.feeds import selectors, services
from pricing.feeds.selectors import FeedState
from pricing.feeds.services import FeedSettingError

_FORM = require_http_methods(["GET", "POST"])
_LONGEST_TEXT: Final = 200
_DECISIONS: Final = {"accept": True, "decline": False}


class FeedForm(forms.Form):
    """Where a source is asked, and whether it is asked by itself."""

    url = forms.CharField(
        label="Address",
        required=False,
        max_length=300,
        widget=forms.URLInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
    )
    enabled = forms.BooleanField(
        label="Ask it every six hours",
        required=False,
        help_text="Off, what it said so far keeps serving until it is cleared.",
    )

    def __init__(self, data: Any, state: FeedState) -> None:
        super().__init__(data, initial={"url": state.url, "enabled": state.enabled})
        own = state.source.url
        self.fields["url"].help_text = f"Empty is the source's own: {own}"


# Pages


@require_GET
def feed_list(request: HttpRequest) -> HttpResponse:
    """List the sources and what was shipped; two queries of its own."""
    context = {
        "feeds": selectors.feed_states(),
        "embedded": selectors.embedded_state(),
        "is_automatic": selectors.is_automatic(),
    }
    return render(
        request,
        "providers/feeds/page.html",
        context,
        piece="providers/feeds/_table.html",
    )


@require_GET
def feed_detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show one source: its settings, prices that wait, and the last change."""
    state = _state(name)
    return _show(request, state, FeedForm(None, state))


# Actions


@require_POST
@access.require_role(access.OPERATOR)
def feed_refresh(request: HttpRequest, name: str = "") -> HttpResponse:
    """Ask a source in the background now, or all that are on."""
    if name:
        _state(name)
    services.start_refresh(actor_of(request), name)
    # The list renews itself while the answer is awaited.
    done = "Asking now; the list shows the result in a moment."
    return saved(request, "providers:feed-list", done)


@_FORM
@access.require_role(access.OPERATOR)
def feed_set(request: HttpRequest, name: str) -> HttpResponse:
    """Change a source's address, or switch it on or off."""
    state = _state(name)
    form = FeedForm(request.POST or None, state)
    if form.is_valid():
        try:
            services.set_feed(actor_of(request), name, **form.cleaned_data)
        except FeedSettingError as exc:
            form.add_error(exc.field or None, exc.message)
        else:
            return saved(request, _url(state), "Saved.")
    return _show(request, state, form)


@_FORM
@access.require_role(access.OPERATOR)
def feed_clear(request: HttpRequest, name: str) -> HttpResponse:
    """Forget what a source said."""
    state = _state(name)
    question = Confirmation(
        title=f"Clear what {state.source.title} said?",
        verb="Clear it",
        back=_url(state),
        consequences=(
            f"{state.models:,} models lose what this source said of them; the "
            "embedded catalogue serves instead.",
            "Decisions about its prices are forgotten.",
            "While it is switched on, the next automatic refresh reads it anew."
            if state.enabled
            else "It is switched off: it stays cleared until somebody refreshes it.",
        ),
    )
    if request.method == "GET":
        return confirm(request, question)
    services.clear_feed(actor_of(request), name)
    return saved(request, _url(state), f"{state.source.title} was cleared.")


@_FORM
@access.require_role(access.OPERATOR)
def feed_decide(request: HttpRequest, name: str) -> HttpResponse:
    """Accept or decline one held price, or all that match a text."""
    state = _state(name)
    asked = request.POST if request.method == "POST" else request.GET
    word, _, key = asked.get("decision", "").partition(":")
    if word not in _DECISIONS:
        return refused(request, _url(state), "Say whether to accept or to decline.")
    text = request.GET.get("q", "").strip()[:_LONGEST_TEXT]
    keys = [key] if key else selectors.held_keys(name, text)
    if request.method == "GET":
        return confirm(request, _question(state, word, text, len(keys)), _asking(word))
    count = services.decide(actor_of(request), name, keys, accept=_DECISIONS[word])
    if not count:
        return refused(request, _url(state), "These prices no longer wait.")
    done = "accepted" if _DECISIONS[word] else "declined"
    noun = "price was" if count == 1 else "prices were"
    return saved(request, _url(state), f"{count:,} {noun} {done}.")


# Private helpers


def _question(state: FeedState, word: str, text: str, count: int) -> Confirmation:
    which = f"that match “{text}”" if text else "that wait"
    accepted = "They are in force within two seconds, for every request from then on."
    declined = "The prices in force stay. The same values are not asked again."
    return Confirmation(
        title=f"{word.capitalize()} all {count:,} prices {which}?",
        verb=f"{word.capitalize()} {count:,} prices",
        back=_url(state),
        consequences=(accepted if word == "accept" else declined,),
        danger=word == "accept",
    )


def _asking(word: str) -> dict[str, Any]:
    field = forms.HiddenInput().render("decision", word)
    return {"fields": field}


def _show(request: HttpRequest, state: FeedState, form: FeedForm) -> HttpResponse:
    text = request.GET.get("q", "").strip()[:_LONGEST_TEXT]
    context = {
        "feed": state,
        "form": form,
        "q": text,
        "query": urlencode({"q": text}) if text else "",
        "held": selectors.held_lines(state.name, text, _number(request, "held")),
        "lines": selectors.changed_lines(state.name, text, _number(request, "page")),
        "is_automatic": selectors.is_automatic(),
    }
    return render(
        request,
        "providers/feeds/detail.html",
        context,
        piece="providers/feeds/_lines.html" if request.method == "GET" else "",
    )


def _state(name: str) -> FeedState:
    state = selectors.feed_state(name)
    if state is None:
        raise Http404("There is no such source of models and prices.")
    return state


def _url(state: FeedState) -> str:
    return reverse("providers:feed-detail", args=[state.name])


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "1")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
