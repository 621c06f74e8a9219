"""Screens of background work: how far a job is, live, and a way to stop it."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.http.response import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import HttpResponseClientRefresh

from poolsite.job_control import stop_job
from poolsite.models import Job
from poolsite.ui import access, sse
from poolsite.ui.render import refused, render, saved, vary, wants_piece
from poolsite.views import actor_of


@require_GET
def job_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one job; a page that asks about a finished one is told to reload."""
    job = access.find(Job, "job", pk=pk)
    if wants_piece(request):
        return live_piece(request, job)
    return render(request, "poolsite/jobs/page.html", {"job": job})


@login_not_required
@require_GET
def job_events(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stream a job's progress to whoever is signed in."""
    # A redirect to the sign-in page would make the browser try again for ever.
    if not access.has_role(request, access.VIEWER):
        return sse.ended("signed out")
    access.find(Job, "job", pk=pk)
    return sse.stream(request, pk)


@require_POST
@access.require_role(access.OPERATOR)
def job_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask a job to stop; what it has done stays."""
    job = access.find(Job, "job", pk=pk)
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    to = back if is_ours and back.startswith("/") else reverse("ground:job", args=[pk])
    if not stop_job(actor_of(request), job):
        return refused(request, to, "It had ended already.")
    return saved(request, to, "It stops now; what it has done stays.")


def live_piece(request: HttpRequest, job: Job) -> HttpResponse:
    """Answer a poll: what the job shows, or that the page is to be loaded anew."""
    if sse.is_over(job):
        return vary(HttpResponseClientRefresh())
    return vary(HttpResponse(sse.piece(request, job)))
