"""Counters and orders shared by every call of one fault upstream."""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from tests.upstream.scenario import (
    HEALTHY,
    Scenario,
    is_due,
    parse_scenario,
    spec_of_key,
    spec_of_model,
)
from tests.upstream.truth import Served

KEPT_CALLS = 2_000


@dataclass
class Seen:
    """A request as it arrived, for tests that look at what a vendor sees."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    key: str
    served: Served | None = None

    def header(self, name: str) -> str:
        """Return the first header of this name, or an empty string."""
        return next((v for n, v in self.headers if n == name.lower()), "")


@dataclass
class Control:
    """What the upstream has counted and what it was told to do.

    Shapes: orders map a key or a model to a scenario and win over names and headers.
    """

    seed: int = 0
    by_key: Counter[str] = field(default_factory=Counter)
    by_model: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)
    by_ending: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    gates: Counter[str] = field(default_factory=Counter)
    orders: dict[str, str] = field(default_factory=dict)
    seen: deque[Seen] = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))
    serial: int = 0
    open: int = 0
    canary_hits: int = 0

    def reset(self) -> None:
        """Forget every count and order, but not the serial of the truth log."""
        for counter in (
            self.by_key,
            self.by_model,
            self.by_status,
            self.by_ending,
            self.attempts,
            self.gates,
        ):
            counter.clear()
        self.orders.clear()
        self.seen.clear()
        self.canary_hits = 0

    def choose(self, *, key: str, model: str, header: str) -> Scenario:
        """Return the scenario of this call and count it at its gate.

        Shapes: an order for the key wins, then one for the model, then the key's own
                name, the header, the model's name.
        Errors: UnknownScenarioError.
        """
        options = (
            ("key " + key, self.orders.get(key)),
            ("model " + model, self.orders.get(model)),
            ("key " + key, spec_of_key(key)),
            ("header " + header, header or None),
            ("model " + model, spec_of_model(model)),
        )
        for source, spec in options:
            if spec is None:
                continue
            scenario = parse_scenario(spec)
            self.gates[source] += 1
            call = self.gates[source]
            rng = random.Random(f"{self.seed}:{source}:{call}")
            return (
                scenario if is_due(scenario, call, rng) else scenario.without_faults()
            )
        return HEALTHY

    def report(self) -> dict[str, Any]:
        """Return every count, for the control endpoint."""
        return {
            "calls": sum(self.by_key.values()),
            "by_key": dict(self.by_key),
            "by_model": dict(self.by_model),
            "by_status": {str(k): v for k, v in self.by_status.items()},
            "by_ending": dict(self.by_ending),
            "open": self.open,
            "canary_hits": self.canary_hits,
            "orders": dict(self.orders),
        }
