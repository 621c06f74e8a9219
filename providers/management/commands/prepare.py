"""``pool prepare``: started by ``pool serve`` before anything else."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

import msgspec
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError

from poolsite import prepare
from poolsite.clock import Clock, SystemClock
from poolsite.supervisor.preparing import REPORT_VARIABLE, Prepared
from providers.keeper.publisher import Publisher
from usage import partitions


class Command(BaseCommand):
    help = "Internal: migrate, collect static files, make the first rows and snapshot."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--plane", default="all")

    def handle(self, *args: Any, **options: Any) -> None:
        report = msgspec.json.encode(_prepare(options["plane"], SystemClock()))
        descriptor = os.environ.get(REPORT_VARIABLE)
        if descriptor is None:
            sys.stdout.write(report.decode() + "\n")
            return
        with os.fdopen(int(descriptor), "wb") as stream:
            stream.write(report)


def _prepare(plane: str, clock: Clock) -> Prepared:
    steps: dict[str, float] = {}
    token = ""

    def step(name: str, work: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        result = work()
        steps[name] = round(time.perf_counter() - begin, 3)
        return result

    try:
        step("migrate", lambda: prepare.migrate(clock))
        step("keys", lambda: prepare.check_keys(clock))
        step("partitions", lambda: partitions.ensure(clock.now()))
        step("groups", prepare.ensure_groups)
        step("node", lambda: prepare.register_node(plane, clock))
        if plane != "proxy":
            step("static", prepare.collect_static)
            step("owner", prepare.ensure_owner)
            token = step("token", lambda: prepare.setup_token(clock))
        step("snapshot", lambda: _publish(clock))
    except prepare.LockedError as error:
        return Prepared(locked=str(error), steps=steps)
    except prepare.RefusedError as error:
        return Prepared(error=str(error), steps=steps)
    except DatabaseError as error:
        line = " ".join(str(error).split())
        return Prepared(error=f"the database does not answer: {line}", steps=steps)
    return Prepared(setup_token=token, steps=steps)


def _publish(clock: Clock) -> None:
    directory = settings.CONFIG.snapshot_path
    Publisher(directory, lineage=prepare.lineage(), clock=clock).publish()
