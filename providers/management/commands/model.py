"""``pool model``: list a provider's models, fetch its list again, probe them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from providers import selectors
from providers.discovery import check
from providers.management.base import PoolCommand, action, get_provider
from providers.management.probing import add_probe
from providers.models import ProviderModel
from providers.services import models


class Command(PoolCommand):
    help = "Manage the upstream models of a provider."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        listing = action(sub, "list", self.list, "list the models of a provider")
        listing.add_argument("provider")
        listing.add_argument("--json", action="store_true")
        add_probe(self, sub)
        sync = action(sub, "sync", self.sync, "add what the provider lists")
        sync.add_argument("provider")

    def list(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["provider"])
        self.table(selectors.model_table(provider), as_json=options["json"])

    def sync(self, options: dict[str, Any]) -> None:
        provider = get_provider(options["provider"])
        result = check.check_provider(provider)
        if not result.ok:
            raise CommandError(f"Nothing changed: {result.error}")
        added = models.add_models(
            self.actor,
            provider,
            result.models,
            source=ProviderModel.Source.DISCOVERED,
        )
        self.say(f"{len(result.models)} models listed, {len(added)} new.")
