"""What is kept and for how long: prompts and answers, and the rows of every table."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID

import msgspec
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
from providers.services import bodies
from providers.services.errors import ServiceError
from usage import log
from usage.retention import owners, selectors, services
from usage.services import UsageError

_FORM = require_http_methods(["GET", "POST"])
_PAGE = "providers:kept"
_MOST_LAID_OUT: Final = 256 * 1024
_DEEPEST: Final = 24
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET: Final = re.compile(r"[\[\]{}]")
_NO_PROMPT = "It was refused before its body was understood."
_NO_ANSWER = "Nothing reached the client."


class RecordingForm(forms.Form):
    """The pool's part of keeping prompts and answers."""

    is_on = forms.BooleanField(
        label="Keep prompts and answers of client keys that ask for it",
        required=False,
        help_text="A key asks for it in its own form. What is kept can be read by "
        "operators and owners; every look is in the audit log.",
    )
    keep_kb = forms.IntegerField(
        label="At most of each side, in KB",
        min_value=bodies.LEAST_KB,
        max_value=bodies.MOST_KB,
        help_text="Pictures and files are left out; the rest is cut here.",
    )


class DaysForm(forms.Form):
    """How long the rows of one table are kept."""

    days = forms.IntegerField(
        label="Days",
        required=False,
        max_value=services.MOST_DAYS,
    )

    def __init__(self, data: Any, owner: owners.Owner, days: int | None) -> None:
        super().__init__(data, initial={"days": days})
        field = self.fields["days"]
        field.widget.attrs["min"] = owner.least
        field.help_text = (
            f"At least {owner.least:,}. Empty: the default, {owner.days or 0:,}."
        )


# Pages


@require_GET
def kept(request: HttpRequest) -> HttpResponse:
    """Show what is kept and for how long; two queries of its own."""
    return _show(request, None)


@_FORM
@access.require_role(access.OWNER)
def retention_edit(request: HttpRequest, table: str) -> HttpResponse:
    """Set how long the rows of a table are kept."""
    owner = owners.BY_TABLE.get(table)
    if owner is None or owner.days is None:
        raise Http404("The rows of this table do not go by age.")
    form = DaysForm(request.POST or None, owner, selectors.days_of()[table])
    if request.method == "POST" and form.is_valid():
        try:
            services.set_days(actor_of(request), table, form.cleaned_data["days"])
        except UsageError as exc:
            form.add_error(exc.field or None, exc.message)
        else:
            return saved(request, _PAGE, "Saved; the next round removes what is old.")
    context = {"form": form, "owner": owner}
    return render(request, "providers/kept/retention.html", context)


# Prompts and answers


@require_POST
@access.require_role(access.OWNER)
def recording_set(request: HttpRequest) -> HttpResponse:
    """Switch the pool's part of keeping bodies."""
    form = RecordingForm(request.POST)
    if form.is_valid():
        try:
            bodies.set_recording(actor_of(request), **form.cleaned_data)
        except ServiceError as exc:
            form.add_error(exc.field or None, exc.message)
        else:
            return saved(request, _PAGE, "Saved; new requests obey within seconds.")
    return _show(request, form)


@_FORM
@access.require_role(access.OWNER)
def bodies_forget(request: HttpRequest) -> HttpResponse:
    """Remove every prompt and answer, after asking."""
    back = reverse(_PAGE)
    question = Confirmation(
        title="Remove every prompt and answer?",
        verb="Remove them",
        back=back,
        consequences=(
            "What was said is gone; what was used and what it cost stays.",
            "Keys that ask for it go on being recorded.",
        ),
    )
    if request.method == "GET":
        return confirm(request, question)
    count = bodies.forget(actor_of(request))
    return saved(request, back, f"{count:,} requests were forgotten.")


@require_POST
@access.require_role(access.OPERATOR)
def request_bodies(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what was said in one request, and write down who looked."""
    back = reverse("providers:request-detail", args=[pk])
    if log.detail(pk) is None:
        raise Http404("There is no such request.")
    try:
        found = bodies.look_at(actor_of(request), pk)
    except ServiceError as exc:
        return refused(request, back, exc.message)
    if found is None:
        return refused(request, back, "Nothing is kept of this request any more.")
    sides = [
        ("Prompt", found.asked, _laid_out(found.asked), _NO_PROMPT),
        ("Answer", found.answered, _laid_out(found.answered), _NO_ANSWER),
    ]
    context = {"sides": sides, "pk": pk, "back": back}
    response = render(request, "providers/requests/bodies.html", context)
    response["Cache-Control"] = "no-store"
    return response


@_FORM
@access.require_role(access.OPERATOR)
def request_forget(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Remove what was said in one request, after asking."""
    back = reverse("providers:request-detail", args=[pk])
    if not bodies.is_kept(pk):
        raise Http404("Nothing is kept of this request.")
    question = Confirmation(
        title="Remove this prompt and its answer?",
        verb="Remove them",
        back=back,
        consequences=("What was used and what it cost stays.",),
    )
    if request.method == "GET":
        return confirm(request, question)
    bodies.forget(actor_of(request), pk)
    return saved(request, back, "The prompt and its answer are removed.")


def _laid_out(side: bodies.Side | None) -> str:
    """Return a text as people read it: JSON over several lines, the rest as it is.

    What is very deep stays too: indented it would be many times as long.
    """
    if side is None:
        return ""
    if len(side.text) > _MOST_LAID_OUT or _depth(side.text) > _DEEPEST:
        return side.text
    try:
        return msgspec.json.format(side.text, indent=2)
    except (msgspec.DecodeError, RecursionError):
        return side.text


def _depth(text: str) -> int:
    deepest = depth = 0
    for mark in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if mark in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _show(request: HttpRequest, form: RecordingForm | None) -> HttpResponse:
    now = bodies.recording()
    initial = {"is_on": now.is_on, "keep_kb": now.keep_kb}
    table = selectors.table()
    context = {
        "form": form or RecordingForm(initial=initial),
        "recording": now,
        "rows": [row for row in table if row["days"] is not None],
        "stays": [row for row in table if row["days"] is None],
    }
    return render(request, "providers/kept/page.html", context)
