"""How often the model lists of providers are fetched."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from poolsite.ui import access
from poolsite.ui.render import render, saved
from poolsite.views import actor_of
from providers.services import list_rounds
from providers.services.errors import ServiceError

_FORM = require_http_methods(["GET", "POST"])
_RHYTHMS: Final = (
    (600, "Every ten minutes"),
    (3_600, "Every hour"),
    (6 * 3_600, "Every six hours"),
    (86_400, "Every day"),
    (7 * 86_400, "Every week"),
    (0, "Never; by hand only"),
)


class ScheduleForm(forms.Form):
    """The rhythm of the round, and what happens to new models."""

    every_s = forms.TypedChoiceField(label="Fetch model lists", coerce=int)
    auto_add = forms.BooleanField(
        label="Add new models unasked",
        required=False,
        help_text="Off, they are listed as changes and wait for a person.",
    )

    def __init__(self, data: Any, plan: dict[str, Any]) -> None:
        super().__init__(data, initial=plan)
        now = plan["every_s"]
        own = () if now in dict(_RHYTHMS) else ((now, f"Every {now:,} seconds"),)
        self.fields["every_s"].choices = [*own, *_RHYTHMS]  # type: ignore[attr-defined] # a choice's field


@_FORM
@access.require_role(access.OPERATOR)
def model_schedule(request: HttpRequest) -> HttpResponse:
    """Change how often lists are fetched, and whether new models are added."""
    form = ScheduleForm(request.POST or None, list_rounds.schedule())
    if form.is_valid():
        try:
            list_rounds.set_schedule(actor_of(request), **form.cleaned_data)
        except ServiceError as exc:
            form.add_error(exc.field or None, exc.message)
        else:
            return saved(request, "providers:model-list", "Saved.")
    return render(request, "providers/models/schedule.html", {"form": form})
