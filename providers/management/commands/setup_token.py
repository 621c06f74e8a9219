"""``pool setup-token``: print a new one-time token for the setup wizard."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from poolsite import setup
from providers.management.base import PoolCommand


class Command(PoolCommand):
    help = "Print the address of the setup wizard with a fresh one-time token."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.set_defaults(handler=self.show)

    def show(self, options: dict[str, Any]) -> None:
        token = setup.new_token(self.actor)
        self.say(f"{settings.CONFIG.effective_public_url}/setup/?token={token}")
