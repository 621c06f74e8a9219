"""The product beside a fault upstream, arranged in one step.

with stage(directory, upstream_in_thread=True) as scene:
    scene.provider("up", models=["gpt-test"])
    scene.price("gpt-test", input_usd="3", output_usd="15")
    scene.key("client", concurrency=10)
    scene.open()
    ... scene.product.url, scene.keys["client"], scene.check(outcomes)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Generic, TypeVar

from tests.rig.driver import Outcome
from tests.rig.ledger_check import Price, Report, check_ledger
from tests.rig.processes import ROOT
from tests.rig.product import DEFAULT_API_KEY, Product, ProductError
from tests.rig.thread import UpstreamThread
from tests.rig.upstream import UpstreamProcess

NANO = 1_000_000_000
Upstream = TypeVar("Upstream", UpstreamThread, UpstreamProcess)


@dataclass
class Scene(Generic[Upstream]):
    """A product, not started before `open`, beside a fault upstream.

    Shapes:  what the methods before `open` ask for is carried out in one step by it;
             keys holds the client keys by name from then on.
    """

    product: Product
    upstream: Upstream
    plan: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)

    def provider(
        self,
        slug: str,
        *,
        models: list[str],
        api_keys: list[str] | None = None,
        base_url: str = "",
        enabled: bool = True,
        **values: Any,
    ) -> None:
        """Add a provider; values are columns such as priority and timeouts."""
        self.plan.setdefault("providers", []).append(
            {
                "slug": slug,
                "models": models,
                "api_keys": api_keys or [DEFAULT_API_KEY],
                "base_url": base_url or self.upstream.base_url,
                "enabled": enabled,
                "values": values,
            }
        )

    def alias(self, name: str, *targets: str) -> None:
        """Give a model another name."""
        self.plan.setdefault("aliases", {})[name] = list(targets)

    def price(
        self,
        model: str,
        *,
        input_usd: str = "0",
        output_usd: str = "0",
        per_request_usd: str = "0",
    ) -> None:
        """Set a price in the product and in the second arithmetic.

        Shapes:  the model may be a pattern such as `fault-*`.
        """
        per_request = _nano(per_request_usd)
        spec = {"input": _nano(input_usd), "output": _nano(output_usd)}
        # Like every price the product's is per million units: of requests, here.
        spec["per_request"] = per_request * 1_000_000
        self.plan.setdefault("prices", []).append({"model": model, "spec": spec})
        self.prices[model] = Price(
            input=spec["input"], output=spec["output"], per_request=per_request
        )

    def account(self, slug: str, token: str) -> None:
        """Give a provider an account that is asked after its keys."""
        self.plan.setdefault("accounts", []).append({"slug": slug, "token": token})

    def window(self, model: str, tokens: int) -> None:
        """State how many tokens a model takes."""
        self.plan.setdefault("windows", {})[model] = tokens

    def setting(self, **values: Any) -> None:
        """Change pool-wide settings of the data plane."""
        self.plan.setdefault("settings", {}).update(values)

    def routing(self, **values: Any) -> None:
        """Publish a revision of the routing."""
        self.plan.setdefault("routing", {}).update(values)

    def key(self, name: str, **values: Any) -> None:
        """Create a client key; budget_nano and window give it a hard budget."""
        self.plan.setdefault("keys", []).append({"name": name, **values})

    def arrange(self) -> None:
        """Carry out what was asked for since the last time."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.rig.arrange"],
            cwd=ROOT,
            env={**os.environ, **self.product.env},
            input=json.dumps(self.plan),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise ProductError(f"arrange: {done.stderr}")
        self.keys.update(json.loads(done.stdout))
        self.plan = {}

    def open(self, *, within_s: float = 30) -> float:
        """Arrange and start the product; return the seconds until it was ready."""
        self.arrange()
        return self.product.start(within_s=within_s)

    def check(
        self,
        outcomes: Iterable[Outcome],
        *,
        only: bool = False,
        within_s: float = 15,
        quiet_s: float = 1.0,
    ) -> Report:
        """Compare clients, upstream and ledger once everything has settled.

        Settled is when nothing is missing and nothing new came for a while; what is
        still missing after within_s is lost.

        Shapes:  only compares what these clients caused; they must know the id of
                 every request, so it is not for tests that kill.
        """
        outcomes = list(outcomes)
        mine = {outcome.request_id for outcome in outcomes} if only else None
        self.upstream.wait_idle(within_s=30)
        truth = [
            call
            for call in self.upstream.truth()
            if mine is None or call.request_id in mine
        ]
        prices = {call.model: self.price_of(call.model) for call in truth}
        deadline = time.monotonic() + within_s
        seen, since = -1, time.monotonic()
        while True:
            ledger = self.product.ledger().only(mine)
            report = check_ledger(
                outcomes=outcomes, truth=truth, ledger=ledger, prices=prices
            )
            count, now = len(ledger.attempts) + len(ledger.requests), time.monotonic()
            if report.lost or count != seen:
                seen, since = count, now
            if now - since >= quiet_s or now >= deadline:
                return report
            time.sleep(0.1)

    def price_of(self, model: str) -> Price:
        """Return the price in force for a model, by name or by pattern."""
        if model in self.prices:
            return self.prices[model]
        for pattern, price in self.prices.items():
            if fnmatchcase(model, pattern):
                return price
        return Price()


@contextmanager
def stage(
    directory: Path,
    *,
    seed: int = 0,
    arguments: list[str] | None = None,
    env: dict[str, str] | None = None,
) -> Iterator[Scene[UpstreamProcess]]:
    """Set the product up beside an upstream in a process of its own."""
    with (
        UpstreamProcess(directory, seed=seed) as upstream,
        Product(directory, arguments=arguments, env=env) as product,
    ):
        yield Scene(product, upstream)


@contextmanager
def open_stage(
    directory: Path,
    *,
    seed: int = 0,
    arguments: list[str] | None = None,
    env: dict[str, str] | None = None,
) -> Iterator[Scene[UpstreamThread]]:
    """Set the product up beside an upstream that tests look into."""
    with (
        UpstreamThread(directory, seed=seed) as upstream,
        Product(directory, arguments=arguments, env=env) as product,
    ):
        yield Scene(product, upstream)


def _nano(usd: str) -> int:
    whole, _, part = usd.partition(".")
    return int(whole) * NANO + int((part + "0" * 9)[:9])
