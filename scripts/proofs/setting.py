"""The stage every proof of the running product stands on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.rig.ledger_check import Price
from tests.rig.product import Product
from tests.rig.upstream import UpstreamProcess

NANO = 1_000_000_000


@dataclass
class Stage:
    """A product, not yet started, beside a fault upstream."""

    product: Product
    upstream: UpstreamProcess
    prices: dict[str, Price]

    def price(
        self,
        model: str,
        *,
        input_usd: str = "0",
        output_usd: str = "0",
        per_request_usd: str = "0",
    ) -> None:
        """Set a price in the product and in the second arithmetic."""
        self.product.set_price(
            model,
            input_usd=input_usd,
            output_usd=output_usd,
            per_request_usd=per_request_usd,
        )
        self.prices[model] = Price(
            input=_nano(input_usd),
            output=_nano(output_usd),
            per_request=_nano(per_request_usd),
        )


@contextmanager
def stage(
    models: list[str],
    *,
    seed: int,
    api_keys: list[str] | None = None,
    arguments: list[str] | None = None,
    env: dict[str, str] | None = None,
) -> Iterator[Stage]:
    """Set up one provider with these models on a fault upstream."""
    with tempfile.TemporaryDirectory(prefix="pool-proof-") as name:
        directory = Path(name)
        with (
            UpstreamProcess(directory, seed=seed) as upstream,
            Product(directory, arguments=arguments, env=env) as product,
        ):
            product.add_provider(
                "up", base_url=upstream.base_url, models=models, api_keys=api_keys
            )
            yield Stage(product, upstream, {})


def _nano(usd: str) -> int:
    whole, _, part = usd.partition(".")
    return int(whole) * NANO + int((part + "0" * 9)[:9])
