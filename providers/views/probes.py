"""Probe models: choose, see what it costs, start, watch, stop."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from poolsite import job_views
from poolsite.models import Job
from poolsite.ui import access, sse
from poolsite.ui.render import refused, render, saved, wants_piece
from poolsite.views import actor_of
from pricing.listing import CAPABILITIES
from providers.models import ProbeResult, ProbeRun, Provider
from providers.services.errors import ServiceError
from providers.services.probing import choice, reading, runs

_FORM = require_http_methods(["GET", "POST"])
_SHOWN_MODELS: Final = 30
_SHOWN_SKIPPED: Final = 20
_MOST_PROVIDERS: Final = 500
_WORDS: Final = {
    "ok": "OK",
    "missing": "Missing",
    "unproven": "Unproven",
    "skipped": "Skipped",
    "waiting": "Waiting",
}


class ProbeForm(forms.Form):
    """Which models, how many at a time, for how long."""

    provider = forms.MultipleChoiceField(
        label="Providers", required=False, help_text="None chosen means all."
    )
    match = forms.CharField(
        label="Model ids",
        max_length=200,
        required=False,
        help_text="A pattern with * and ?, such as gpt-*; empty means all.",
    )
    capability = forms.ChoiceField(required=False)
    switched_off = forms.BooleanField(
        label="List switched off models too", required=False
    )
    ids = forms.CharField(required=False, widget=forms.HiddenInput, max_length=10_000)
    concurrency = forms.IntegerField(
        label="At a time",
        min_value=1,
        max_value=runs.MOST_CONCURRENCY,
        initial=runs.CONCURRENCY,
    )
    timeout_s = forms.IntegerField(
        label="Seconds for each",
        min_value=1,
        max_value=runs.LONGEST_TIMEOUT_S,
        initial=runs.TIMEOUT_S,
    )
    disable_missing = forms.BooleanField(
        label="Switch off what its provider does not have",
        required=False,
        initial=True,
    )

    FILTERS = ("provider", "match", "capability", "switched_off")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Provider.objects.filter(deleted_at=None).order_by("name", "slug")
        names = list(rows.values_list("slug", "name")[:_MOST_PROVIDERS])
        provider = self.fields["provider"]
        provider.choices = names  # type: ignore[attr-defined] # a choice field
        provider.widget.attrs["size"] = min(8, max(3, len(names)))
        words = [(word, word.replace("_", " ")) for word in CAPABILITIES]
        self.fields["capability"].choices = [("", "Any"), *words]  # type: ignore[attr-defined] # a choice field

    def clean_ids(self) -> list[int]:
        """Read row ids, separated by commas.

        Errors: ValidationError.
        """
        parts = [part for part in self.cleaned_data["ids"].split(",") if part.strip()]
        if not all(part.strip().isdecimal() and len(part) < 19 for part in parts):
            raise forms.ValidationError("This list of models is damaged.")
        return [int(part) for part in parts]

    def choice(self) -> choice.Choice:
        """Return what the services take."""
        values = self.cleaned_data
        return choice.Choice(
            providers=values["provider"],
            match=values["match"].strip(),
            models=values["ids"],
            capability=values["capability"],
            only_enabled=not values["switched_off"],
        )


@_FORM
@access.require_role(access.OPERATOR)
def probe_start(request: HttpRequest) -> HttpResponse:
    """Choose models, see the estimate, start; the newest rounds are listed below."""
    form = ProbeForm(request.POST or _filled(request))
    found = choice.Estimate()
    mistakes = _mistakes(form)
    if not mistakes:
        found = choice.estimate(choice.chosen(form.choice()))
        if request.method == "POST" and "estimate" not in request.POST:
            try:
                run = _start(request, form, found)
            except ServiceError as exc:
                form.add_error(
                    exc.field if exc.field in form.fields else None, str(exc)
                )
            else:
                return saved(request, reverse("providers:probe-run", args=[run.pk]))
    context = {
        "form": form,
        "found": found,
        "mistakes": mistakes,
        "shown": found.asked[:_SHOWN_MODELS],
        "more": max(0, len(found.asked) - _SHOWN_MODELS),
        "skipped": found.skipped[:_SHOWN_SKIPPED],
        "more_skipped": max(0, len(found.skipped) - _SHOWN_SKIPPED),
        "runs": reading.recent_runs(),
    }
    return render(
        request,
        "providers/probes/start.html",
        context,
        piece="providers/probes/_estimate.html",
    )


@require_GET
def probe_run(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a round: counters, what needs a look first, live while it runs."""
    run = _run(pk)
    if wants_piece(request) and run.job is not None:
        return job_views.live_piece(request, run.job)
    context = {
        **_context(request, run),
        "url": reverse("providers:probe-run", args=[pk]),
    }
    return render(request, "providers/probes/run.html", context)


@require_POST
@access.require_role(access.OPERATOR)
def probe_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop a round; what was found stays."""
    run = _run(pk)
    to = reverse("providers:probe-run", args=[pk])
    if not runs.cancel_probe(actor_of(request), run):
        return refused(request, to, "These probes had ended already.")
    return saved(request, to, "The probes stop now; what was found stays.")


@require_POST
@access.require_role(access.OPERATOR)
def probe_resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Go on with what was not asked yet."""
    to = reverse("providers:probe-run", args=[pk])
    try:
        runs.resume_probe(actor_of(request), _run(pk))
    except ServiceError as exc:
        return refused(request, to, str(exc))
    return saved(request, to, "The rest is asked now.")


# Private helpers


def _mistakes(form: ProbeForm) -> list[str]:
    """Say why nothing can be counted; the estimate is also shown without its form."""
    return [f"{form[name].label}: {said[0]}" for name, said in form.errors.items()]


def _start(request: HttpRequest, form: ProbeForm, found: choice.Estimate) -> ProbeRun:
    """Start a round over what was chosen.

    Errors:  ServiceError.
    """
    if not found.asked:
        raise ServiceError("Nothing to ask: no model that answers chat fits.")
    rows = [*found.asked, *(model for model, _ in found.skipped)]
    return runs.start_probe(
        actor_of(request),
        [model.pk for model in rows],
        concurrency=form.cleaned_data["concurrency"],
        timeout_s=form.cleaned_data["timeout_s"],
        disable_missing=form.cleaned_data["disable_missing"],
    )


def _filled(request: HttpRequest) -> Any:
    """Return what the address says, with the usual values for what it leaves out."""
    data = request.GET.copy()
    data.setdefault("concurrency", str(runs.CONCURRENCY))
    data.setdefault("timeout_s", str(runs.TIMEOUT_S))
    data.setdefault("disable_missing", "on")
    return data


def _run(pk: int) -> ProbeRun:
    rows = ProbeRun.objects.select_related("job__created_by")
    return access.find(rows, "round of probes", pk=pk)


def _context(request: HttpRequest, run: ProbeRun) -> dict[str, Any]:
    """Read what both the page and its live piece show; four queries."""
    state = request.GET.get("state", "")
    state = state if state in ProbeResult.State.values else ""
    facts = reading.run_facts(run)
    size = reading.PAGE_SIZE
    total = facts[state] if state else facts["total"]
    last = max(1, -(-total // size))
    page = _number(request.GET.get("page", ""), last)
    rows = reading.results_of(run, state)[(page - 1) * size : page * size]
    return {
        "run": run,
        "job": run.job,
        "facts": facts,
        "tabs": [
            (each, _WORDS[each], facts[each], state == each)
            for each in ("ok", "missing", "unproven", "skipped", "waiting")
        ],
        "state": state,
        "rows": rows,
        "page": page,
        "last": last,
        "share": 100 * facts["done"] / facts["total"] if facts["total"] else None,
        "can_resume": facts["waiting"] and run.job is not None and sse.is_over(run.job),
    }


def _number(text: str, last: int) -> int:
    number = int(text) if text.isdecimal() and len(text) < 9 else 1
    return min(max(1, number), last)


def live(request: HttpRequest, job: Job) -> str:
    """Render what a round's page shows of it, for its stream and its polls."""
    run = ProbeRun.objects.filter(job=job).first()
    if run is None:
        return ""
    run.job = job
    return render_to_string(
        "providers/probes/_live.html", _context(request, run), request
    )


sse.show(runs.TASK, live)
