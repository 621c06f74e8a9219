"""Screens of the catalogue, its tiles and the way to add a provider."""

from __future__ import annotations

from django.urls import URLPattern, path

from providers.views import verification

urlpatterns: list[URLPattern] = [
    path(
        "providers/<slug:slug>/verify/",
        verification.provider_verify,
        name="provider-verify",
    ),
    path(
        "providers/<slug:slug>/verify/apply/",
        verification.provider_verify_apply,
        name="provider-verify-apply",
    ),
]
