"""Register the oauth app."""

from __future__ import annotations

from django.apps import AppConfig


class OauthConfig(AppConfig):
    """The oauth floor."""

    name = "oauth"
    default_auto_field = "django.db.models.BigAutoField"
