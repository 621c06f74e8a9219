"""Register the usage app."""

from __future__ import annotations

from django.apps import AppConfig


class UsageConfig(AppConfig):
    """The usage floor."""

    name = "usage"
    default_auto_field = "django.db.models.BigAutoField"
