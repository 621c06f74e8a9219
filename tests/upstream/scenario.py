"""Read a scenario from a model name, a key, a header or the control endpoint.

A scenario is one or more directives joined by `+`, in a model name behind `fault-`, in
a key behind `sk-bad-`: `fault-429-retry-after-1`, `fault-len-200+cut-rst-chunk-5`,
`sk-bad-503+first-2`. The README beside this file lists the directives. A part that
starts with three digits is the status to answer with.

A scenario holds on every call unless a gate says otherwise: `first-N` only the first N
calls, `every-N` each Nth call, `pct-P` that share of calls, drawn from the seed.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

MODEL_PREFIX = "fault-"
KEY_PREFIX = "sk-bad-"
GATES = ("first", "every", "pct")

DIRECTIVES = (
    *GATES,
    # content
    "ok",
    "len",
    "chunks",
    "tools",
    "tools-parallel",
    "tools-fragmented",
    "shell-once",
    "refusal",
    "reasoning",
    "cached",
    "vendor-cost",
    # time
    "slow-first",
    "late-token",
    "gap",
    "silence",
    "stall",
    "stall-bytes",
    # connection
    "cut-rst-headers",
    "cut-fin-headers",
    "cut-rst-bytes",
    "cut-fin-bytes",
    "cut-rst-chunk",
    "cut-fin-chunk",
    "wrong-length-short",
    "wrong-length-long",
    # usage
    "no-usage",
    "usage-zero",
    "usage-negative",
    "usage-absurd",
    "usage-string",
    "usage-nan",
    "usage-every",
    "usage-last-content",
    # shape of the stream
    "no-done",
    "done-twice",
    "no-finish",
    "bad-json",
    "garbled",
    "error-200-json",
    "error-200-sse",
    "error-mid",
    "empty-stream",
    "empty-body",
    "html-200",
    "json-for-stream",
    "sse-for-json",
    # bytes
    "huge-line",
    "comments",
    "byte-by-byte",
    "split",
    "crlf",
    "bom",
    "no-space",
    "gzip",
    # destination and secrets
    "redirect",
    "echo-secret-header",
    "echo-secret-body",
    "echo-secret-error",
)
_LONGEST_FIRST = sorted(DIRECTIVES, key=len, reverse=True)
_STATUS = re.compile(r"^(\d{3})(?:-(.*))?$")


class UnknownScenarioError(ValueError):
    """The text names a directive this upstream does not have."""


@dataclass(frozen=True)
class Scenario:
    """What one call is to suffer."""

    spec: str
    directives: dict[str, str]
    status: int | None = None
    detail: str = ""

    def has(self, name: str) -> bool:
        """Say whether the directive is present."""
        return name in self.directives

    def text(self, name: str, default: str = "") -> str:
        """Return the directive's argument."""
        return self.directives.get(name) or default

    def number(self, name: str, default: int = 0) -> int:
        """Return the directive's argument as a whole number."""
        return int(self.text(name, str(default)))

    def spread(self, name: str, default: int, rng: random.Random) -> int:
        """Return N for `name-N`, a draw from the range for `name-LOW-HIGH`."""
        low, _, high = self.text(name, str(default)).partition("-")
        return rng.randint(int(low), int(high)) if high else int(low)

    def first(self, *names: str) -> str | None:
        """Return the first of these directives that is present."""
        return next((name for name in names if name in self.directives), None)

    def without_faults(self) -> Scenario:
        """Return the scenario of a call the gate lets through unharmed."""
        kept = ("len", "chunks", "gap", "slow-first", "cached", "vendor-cost")
        return Scenario(
            spec=self.spec,
            directives={k: v for k, v in self.directives.items() if k in kept},
        )


HEALTHY = Scenario(spec="ok", directives={})


def parse_scenario(spec: str) -> Scenario:
    """Read directives joined by `+`.

    Errors: UnknownScenarioError, so that a misspelt test fails loudly.
    """
    directives: dict[str, str] = {}
    status: int | None = None
    detail = ""
    for part in filter(None, spec.split("+")):
        found = _STATUS.match(part)
        if found:
            status, detail = int(found[1]), found[2] or ""
            continue
        name = next((n for n in _LONGEST_FIRST if _names(n, part)), None)
        if name is None:
            raise UnknownScenarioError(part)
        directives[name] = part[len(name) + 1 :]
    return Scenario(spec=spec, directives=directives, status=status, detail=detail)


def spec_of_model(model: str) -> str | None:
    """Return the scenario a model name asks for, None for an ordinary model."""
    return model.removeprefix(MODEL_PREFIX) if model.startswith(MODEL_PREFIX) else None


def spec_of_key(key: str) -> str | None:
    """Return the scenario a key asks for, None for an ordinary key."""
    return key.removeprefix(KEY_PREFIX) if key.startswith(KEY_PREFIX) else None


def is_due(scenario: Scenario, call: int, rng: random.Random) -> bool:
    """Say whether the gate lets the fault happen on this call, counted from 1."""
    if scenario.has("first"):
        return call <= scenario.number("first", 1)
    if scenario.has("every"):
        return call % scenario.number("every", 1) == 0
    if scenario.has("pct"):
        return rng.random() * 100 < scenario.number("pct", 100)
    return True


def _names(name: str, part: str) -> bool:
    return part == name or part.startswith(name + "-")
