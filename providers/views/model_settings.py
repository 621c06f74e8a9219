"""What a person says of one model at one provider: its deadline and its limits."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from poolsite.ui import access
from poolsite.ui.render import render, saved
from poolsite.views import actor_of
from providers.models import ProviderModel
from providers.services import models
from providers.services.errors import ServiceError
from providers.views.model_forms import ModelSettingsForm
from providers.views.models import detail_url
from providers.views.providers import live, put_error

_FORM = require_http_methods(["GET", "POST"])


@_FORM
@access.require_role(access.OPERATOR)
def model_settings(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change what is known of a model; what is set by hand no list replaces."""
    provider = live(slug)
    model: ProviderModel = access.find(
        ProviderModel, "model", pk=pk, provider=provider, deleted_at=None
    )
    form = ModelSettingsForm(request.POST or None, model=model)
    if form.is_valid():
        changed = {name: form.cleaned_data[name] for name in form.changed_data}
        try:
            if changed:
                models.set_model_facts(actor_of(request), model, **changed)
        except ServiceError as exc:
            put_error(form, exc)
        else:
            return saved(request, detail_url(model.model_id), "Saved.")
    context = {
        "form": form,
        "provider": provider,
        "model": model,
        "back": detail_url(model.model_id),
    }
    return render(request, "providers/models/settings.html", context)
