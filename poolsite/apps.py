"""Register the ground as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class PoolsiteConfig(AppConfig):
    """The ground every other app stands on."""

    name = "poolsite"
    label = "poolsite"
    verbose_name = "Provider Pool"
    default_auto_field = "django.db.models.BigAutoField"
