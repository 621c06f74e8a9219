"""Answer with a page or with a piece of it, decided here once.

Notes for whoever builds a screen (docs/console.md has the walk-through):

- A view reads: guard, parse the form, one service or selector call, ``render``.
- ``render(request, "app/screen/page.html", context, piece="app/screen/_rows.html")``
  answers the whole page, or only the piece when htmx asks for it. The page includes
  the same piece file, so there is one markup. Without ``piece`` htmx gets the page.
- A bound form with errors anywhere in the context makes the answer 422 by itself.
- After a change call ``saved(request, url, "Provider added")``: a redirect, or its htmx
  twin, with a toast. To swap a row instead of leaving, add the message with
  ``messages.success`` and ``render`` the row; pending messages travel along.
- Anything destructive asks first: GET answers ``confirm(...)``, POST does it. The link
  is ``{% confirm_link url "Delete" %}``: a dialog with scripts, a page without.
- A region that refreshes itself carries ``hx-get``, ``hx-trigger="pool:tick from:body"``
  and ``hx-swap="morph:outerHTML"``; start its view with ``unchanged`` when a version is
  at hand.
- Every form holds ``{% csrf_token %}`` and an ``action``; never ``style=``, inline
  ``<script>``, ``hx-on`` or an ``hx-trigger`` with a ``[filter]``: the CSP blocks them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.forms import BaseForm
from django.forms.formsets import BaseFormSet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control, patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

VARY: Final = ("HX-Request", "HX-Boosted", "HX-History-Restore-Request")
UNPROCESSABLE: Final = 422
_TOASTS: Final = "ui/_toasts.html"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a person is asked before something is done that cannot be undone.

    Shapes: ``verb`` is the button ("Delete provider"), ``consequences`` one sentence
        each, ``back`` the url of "Cancel"; ``type_name`` must be typed when not empty.
    """

    title: str
    verb: str
    back: str
    text: str = ""
    consequences: Sequence[str] = ()
    type_name: str = ""
    danger: bool = True


def wants_piece(request: HttpRequest) -> bool:
    """Tell whether htmx asks for a piece; Back after a swap needs the whole page."""
    htmx = getattr(request, "htmx", None)
    return bool(htmx and not htmx.boosted and not htmx.history_restore_request)


def render(
    request: HttpRequest,
    page: str,
    context: Mapping[str, Any] | None = None,
    *,
    piece: str = "",
    oob: Sequence[str] = (),
    status: int | None = None,
) -> HttpResponse:
    """Answer with ``page``, or with ``piece`` plus the ``oob`` pieces for htmx.

    Shapes: an ``oob`` template writes ``hx-swap-oob`` only when ``oob`` is true, so that
        the same file serves the page. Toasts that wait travel with every piece.
    """
    values = dict(context or {})
    code = status or (UNPROCESSABLE if has_errors(values) else 200)
    if piece and wants_piece(request):
        body = _pieces(request, piece, values, oob)
    else:
        body = render_to_string(page, values, request)
    return vary(HttpResponse(body, status=code))


def has_errors(context: Mapping[str, Any]) -> bool:
    """Tell whether the context holds a form that was sent and did not validate."""
    for value in context.values():
        if isinstance(value, BaseForm) and value.is_bound and value.errors:
            return True
        if isinstance(value, BaseFormSet) and value.is_bound and not value.is_valid():
            return True
    return False


def _pieces(
    request: HttpRequest, piece: str, values: dict[str, Any], oob: Sequence[str]
) -> str:
    parts = [render_to_string(piece, values, request)]
    beside = {**values, "oob": True}
    parts += [render_to_string(name, beside, request) for name in oob]
    if len(messages.get_messages(request)):
        parts.append(render_to_string(_TOASTS, beside, request))
    return "\n".join(parts)


def vary(response: HttpResponse) -> HttpResponse:
    """Keep caches and Back from mixing a piece with its page."""
    patch_vary_headers(response, VARY)
    return response


def saved(request: HttpRequest, to: Any, message: str = "") -> HttpResponse:
    """Leave a form that worked: POST, redirect, GET, with a toast on arrival.

    Shapes: ``to`` is a url, a url name or an object with ``get_absolute_url``.
    """
    if message:
        messages.success(request, message)
    if wants_piece(request):
        return vary(HttpResponseClientRedirect(resolve_url(to)))
    return redirect(to)


def refused(request: HttpRequest, to: Any, message: str) -> HttpResponse:
    """Go back with the reason why nothing was changed."""
    messages.error(request, message)
    if wants_piece(request):
        return vary(HttpResponseClientRedirect(resolve_url(to)))
    return redirect(to)


def confirm(
    request: HttpRequest,
    question: Confirmation,
    context: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """Ask before a destructive act: a dialog for htmx, a page otherwise.

    The form posts to the same url. Put hidden fields into ``context["fields"]``.
    """
    values = {
        "question": question,
        "action": request.get_full_path(),
        **(context or {}),
    }
    return render(request, "ui/confirm.html", values, piece="ui/_confirm.html")


def is_confirmed(request: HttpRequest, question: Confirmation) -> bool:
    """Tell whether the posted confirmation holds, the typed name included."""
    if request.method != "POST":
        return False
    typed = request.POST.get("confirm_name", "").strip()
    return not question.type_name or typed == question.type_name


def show_once(
    request: HttpRequest, page: str, context: Mapping[str, Any]
) -> HttpResponse:
    """Answer with a secret that is never shown again: no cache may keep it."""
    response = render(request, page, context)
    patch_cache_control(response, no_store=True, private=True)
    return response


def unchanged(request: HttpRequest, version: object) -> HttpResponse | None:
    """Answer 204 to a poll that already shows ``version`` (its ``v`` parameter)."""
    if wants_piece(request) and request.GET.get("v") == str(version):
        return vary(HttpResponse(status=204))
    return None


def stop_polling(response: HttpResponse) -> HttpResponse:
    """Mark the last answer of a poll: htmx asks no more."""
    response.status_code = 286
    return response
