"""Register the providers app: the roof."""

from __future__ import annotations

from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    """The roof, which knows every other floor."""

    name = "providers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell the ground's screens where the pool's state comes from."""
        from poolsite.ui import shell
        from providers.views.status import pool_status

        shell.set_status_source(pool_status)
