"""``pool keeper``: started by ``pool serve``; one for each data directory."""

from __future__ import annotations

import os
import signal
from argparse import ArgumentParser
from typing import Any

import msgspec
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from poolsite import nodes, prepare
from poolsite.clock import SystemClock
from poolsite.supervisor.child import let_signals_in
from providers.keeper.loop import Keeper, only_one


class Command(BaseCommand):
    help = "Internal: publish snapshots and ship the journal."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--plane", default="all")

    def handle(self, *args: Any, **options: Any) -> None:
        # Clients come first: what is not shipped now waits safely in the journal.
        os.nice(15)
        clock = SystemClock()
        config = msgspec.structs.replace(settings.CONFIG, plane=options["plane"])
        config.run_path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with only_one(config.run_path) as is_mine:
            if not is_mine:
                raise CommandError(f"Another keeper works on {config.data_dir}.")
            keeper = Keeper(
                config,
                lineage=prepare.lineage(),
                me=nodes.node_id(settings.DATA_DIR, clock),
                clock=clock,
            )
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: keeper.stop())
            let_signals_in()
            keeper.run()
