"""Screens of what is kept, and of the round that reads model lists."""

from __future__ import annotations

from django.urls import URLPattern, path

from providers.views import kept, model_schedule

urlpatterns: list[URLPattern] = [
    path("models/schedule/", model_schedule.model_schedule, name="model-schedule"),
    path("settings/kept/", kept.kept, name="kept"),
    path("settings/kept/bodies/", kept.recording_set, name="recording-set"),
    path("settings/kept/bodies/forget/", kept.bodies_forget, name="bodies-forget"),
    path("settings/kept/<str:table>/", kept.retention_edit, name="retention-edit"),
    path("requests/<uuid:pk>/bodies/", kept.request_bodies, name="request-bodies"),
    path(
        "requests/<uuid:pk>/bodies/forget/",
        kept.request_forget,
        name="request-forget",
    ),
]
