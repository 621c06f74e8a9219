"""Screens of account status."""

from __future__ import annotations

from django.urls import URLPattern, path

from providers.views import account_status

urlpatterns: list[URLPattern] = [
    path(
        "providers/<slug:slug>/account/",
        account_status.account_status,
        name="account-status",
    ),
    path(
        "providers/<slug:slug>/account/check/",
        account_status.account_check,
        name="account-check",
    ),
]
