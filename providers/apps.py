"""Register the providers app."""

from __future__ import annotations

from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    """The providers floor."""

    name = "providers"
    default_auto_field = "django.db.models.BigAutoField"
