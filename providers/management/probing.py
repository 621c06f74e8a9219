"""``pool model probe``: ask a provider's models for one token each, and wait."""

from __future__ import annotations

import time
from typing import Any, Final

from django.core.management.base import CommandError

from poolsite import money
from poolsite.models import Job
from poolsite.ui.sse import is_over
from providers.management.base import PoolCommand, action, get_provider
from providers.models import ProbeRun
from providers.services.probing import choice, reading, runs

_LOOK_S: Final = 0.5
_PATIENCE_S: Final = 60.0


def add_probe(command: PoolCommand, sub: Any) -> None:
    """Add the action to ``pool model``."""

    def run(options: dict[str, Any]) -> None:
        _probe(command, options)

    parser = action(sub, "probe", run, "ask each model for one token")
    parser.add_argument("provider")
    parser.add_argument("--match", default="", help="a pattern: gpt-*")
    parser.add_argument("--concurrency", type=int, default=runs.CONCURRENCY)
    parser.add_argument(
        "--timeout", type=int, default=runs.TIMEOUT_S, help="seconds for each model"
    )
    parser.add_argument(
        "--keep-missing",
        action="store_true",
        help="do not switch off what the provider does not have",
    )
    parser.add_argument(
        "--no-wait", action="store_true", help="start it and do not wait"
    )
    parser.add_argument("--json", action="store_true")


def _probe(command: PoolCommand, options: dict[str, Any]) -> None:
    provider = get_provider(options["provider"])
    wanted = choice.Choice(providers=[provider.slug], match=options["match"])
    found = choice.estimate(choice.chosen(wanted))
    if not found.asked:
        raise CommandError("No model of this provider that answers chat fits.")
    rows = [*found.asked, *(model for model, _ in found.skipped)]
    run = runs.start_probe(
        command.actor,
        [model.pk for model in rows],
        concurrency=options["concurrency"],
        timeout_s=options["timeout"],
        disable_missing=not options["keep_missing"],
    )
    if not options["json"]:
        command.say(_announced(run, found))
    if not options["no_wait"]:
        _await(run)
    run = ProbeRun.objects.select_related("job").get(pk=run.pk)
    if options["json"]:
        facts = reading.run_facts(run)
        facts["created_at"] = facts["created_at"].isoformat()
        facts["finished_at"] = facts["finished_at"] and facts["finished_at"].isoformat()
        command.print_json({**facts, "results": reading.result_table(run)})
    elif not options["no_wait"]:
        table = reading.result_table(run)
        shown = ("model", "result", "status", "latency_ms", "note")
        command.table([{n: row[n] for n in shown} for row in table], as_json=False)


def _announced(run: ProbeRun, found: choice.Estimate) -> str:
    cost = money.format_usd(found.cost_nano_usd) if found.has_price else "unknown"
    text = f"Probe {run.pk}: {len(found.asked)} models, about {cost}"
    if found.unpriced:
        text += f", {found.unpriced} without a price"
    return text + "."


def _await(run: ProbeRun) -> None:
    """Wait until the round is over; Ctrl-C leaves it running.

    Errors:  CommandError when nobody takes it up, or it ends before all were asked.
    """
    started = time.monotonic()
    while True:
        job = Job.objects.get(probe_run=run)
        if is_over(job):
            break
        if job.state == Job.State.NEW and time.monotonic() - started > _PATIENCE_S:
            raise CommandError(
                f"Nobody has taken up probe {run.pk} yet; is pool serve running?"
            )
        time.sleep(_LOOK_S)
    if job.state != Job.State.DONE:
        raise CommandError(job.message or f"The probes were {job.state}.")
