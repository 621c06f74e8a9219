"""Screens of probes."""

from __future__ import annotations

from django.urls import URLPattern, path

from providers.views import probes

urlpatterns: list[URLPattern] = [
    path("models/probe/", probes.probe_start, name="probe-start"),
    path("models/probes/<int:pk>/", probes.probe_run, name="probe-run"),
    path("models/probes/<int:pk>/cancel/", probes.probe_cancel, name="probe-cancel"),
    path("models/probes/<int:pk>/resume/", probes.probe_resume, name="probe-resume"),
]
