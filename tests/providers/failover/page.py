"""Print the fault table as a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.providers.failover.faults import FAULTS
from tests.providers.failover.table import FIRST, LEFT, Cell, Cooling, Fault, Outcome

_COLUMNS: Final = (
    "| Left | Call | Client | Attempts | Left alone afterwards | The same call again |"
)
_STRIKES: Final = {
    "host": "Whoever lives on that host is down with it.",
    "key": "It strikes whatever that key may ask.",
    "candidate": "It strikes one key at one model.",
    "request": "It strikes the request, whoever is asked.",
}
Look = Callable[[Cell], Outcome]

_HEAD: Final = """\
# Failover, fault by fault

Written by `python -m scripts.failover_table`, which makes every call of this table
through the pipeline, over real sockets, to vendors that misbehave on demand;
`tests/providers/failover` compares each with what the design asks for. {count} calls:
{faults} faults, {left} sorts of candidate left, whole answers and streams.

What holds in every one of them, and is checked in every one: a clean 200 is the healthy
vendor's own answer, byte for byte; a call is settled once and each attempt once; a call
costs what its attempts cost; no secret and no mask of one reaches the client; an error of
the pool names its request and lists what was tried; whoever could have served, asked
directly, did serve, unless the client already held a part of the answer.

Words: *first* is the candidate that fails. *other key* and *other account* are further
credentials of its provider; *other provider* serves the same model elsewhere; *other
model* is the next target of the alias, under the same key; *other model elsewhere* is one
at another provider; all of them are well. A number after *served* counts the attempts. A
*limit* is one key at one model. An error "in the stream" follows what had already been
sent, after a 200; such a stream has no regular end.

The last column is the trail of the same call made once more at once: who is left alone is
not asked again, and the failure that opens a cooldown is not repeated.

The calls run with 1 s for the first byte, the first token and each silence; the pauses
between two tries of the same candidate are those of the product.

## At a glance
"""


def render(look: Look) -> str:
    """Return the page for outcomes, expected or observed."""
    count = len(FAULTS) * len(LEFT) * 2
    lines = [_HEAD.format(count=count, faults=len(FAULTS), left=len(LEFT))]
    lines.append("| Fault | " + " | ".join(LEFT) + " |")
    lines.append("|---" * (len(LEFT) + 1) + "|")
    for fault in FAULTS:
        cells = (_glance(fault, left, look) for left in LEFT)
        lines.append(f"| {fault.name} | " + " | ".join(cells) + " |")
    for fault in FAULTS:
        lines += ["", f"## {fault.name}", "", _sentence(fault), ""]
        lines.append(_COLUMNS)
        lines.append("|---" * _COLUMNS.count(" | ") + "|---|")
        for left in LEFT:
            lines += _rows(fault, left, look)
    return "\n".join(lines) + "\n"


def _sentence(fault: Fault) -> str:
    """Say what the fault is, and how the fault upstream is asked for it."""
    means = fault.means[0].upper() + fault.means[1:]
    specs = [f"`{spec}`" for spec in (fault.whole, fault.stream) if spec]
    asked = f" ({', as a stream '.join(specs)})" if specs else ""
    return f"{means}{asked}. {_STRIKES[fault.where]}"


def _glance(fault: Fault, left: str, look: Look) -> str:
    whole, stream = _pair(fault, left, look)
    told = [_short(whole), _short(stream)]
    return told[0] if told[0] == told[1] else " / ".join(told)


def _rows(fault: Fault, left: str, look: Look) -> list[str]:
    whole, stream = _pair(fault, left, look)
    if whole == stream:
        return [_row(left, "both", whole)]
    return [_row(left, "whole", whole), _row(left, "stream", stream)]


def _row(left: str, call: str, outcome: Outcome) -> str:
    trail = _trail(outcome.trail)
    if outcome.seconds:
        trail += f" ({outcome.seconds} s)"
    cooling = "; ".join(map(_cooling, outcome.cooling)) or "nobody"
    again = "the same" if outcome.again == outcome.trail else _trail(outcome.again)
    cells = (left, call, _client(outcome), trail, cooling, again)
    return "| " + " | ".join(cells) + " |"


def _trail(trail: tuple[tuple[str, str], ...]) -> str:
    return ", then ".join(f"{who}: {step}" for who, step in trail) or "nobody is asked"


def _client(outcome: Outcome) -> str:
    if outcome.served_by:
        by = "itself" if outcome.served_by == FIRST else outcome.served_by
        return f"200 by {by}"
    place = "in the stream" if outcome.status == 200 else f"{outcome.status}"
    wait = f", retry after {outcome.retry_after} s" if outcome.retry_after else ""
    return f"{place}: `{outcome.code}`{wait}"


def _short(outcome: Outcome) -> str:
    if outcome.served_by:
        return f"served ({len(outcome.trail)})"
    return "in the stream" if outcome.status == 200 else str(outcome.status)


def _cooling(cooling: Cooling) -> str:
    return f"{cooling.subject}: {cooling.reason}, {_duration(cooling.seconds)}"


def _duration(seconds: int) -> str:
    for size, unit in ((3_600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _pair(fault: Fault, left: str, look: Look) -> tuple[Outcome, Outcome]:
    name = next(each for each in LEFT if each == left)
    return look(Cell(fault, name, False)), look(Cell(fault, name, True))
