"""Screens of models."""

from __future__ import annotations

from django.urls import URLPattern, path

from providers.views import model_settings, models

urlpatterns: list[URLPattern] = [
    path("models/", models.model_list, name="model-list"),
    path("models/detail/", models.model_detail, name="model-detail"),
    path("models/all/<str:switch>/", models.models_switch, name="models-switch"),
    path("providers/<slug:slug>/sync/", models.model_sync, name="model-sync"),
    path(
        "providers/<slug:slug>/models/changes/",
        models.model_changes,
        name="model-changes",
    ),
    path(
        "providers/<slug:slug>/models/<int:pk>/settings/",
        model_settings.model_settings,
        name="model-settings",
    ),
    path(
        "providers/<slug:slug>/models/access/",
        models.model_access,
        name="model-access",
    ),
]
