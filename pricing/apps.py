"""Register the pricing app."""

from __future__ import annotations

from django.apps import AppConfig


class PricingConfig(AppConfig):
    """The pricing floor."""

    name = "pricing"
    default_auto_field = "django.db.models.BigAutoField"
