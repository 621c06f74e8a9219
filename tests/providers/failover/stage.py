"""Furnish a pool and instruct the vendors, so that one cell of the table can be tried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from providers.snapshot import types
from tests.providers.failover.hosts import DeadHosts, dead_hosts
from tests.providers.failover.table import FIRST, Cell
from tests.providers.proxy.pool import Pool
from tests.upstream.server import FaultUpstream

DEADLINES: Final = types.Timeouts(
    connect_s=1.0, first_byte_s=1.0, idle_s=1.0, total_s=60.0
)
ROUTING: Final = types.RoutingRecord(first_token_s=1.0)
ASKED: Final = "gpt-test"
"""The alias every client asks for."""

SECRET: Final = "sk-{}-secret-of-{}-0123456789"
_ELSEWHERE: Final = ("other provider", "other model elsewhere")
_OTHER_MODEL: Final = ("other model", "other model elsewhere")


@dataclass(frozen=True)
class Town:
    """Two vendors that do as they are told, and hosts where nobody is reached."""

    main: FaultUpstream
    other: FaultUpstream
    dead: DeadHosts


@asynccontextmanager
async def town() -> AsyncIterator[Town]:
    """Start the vendors all cells share."""
    async with (
        FaultUpstream(seed=1) as main,
        FaultUpstream(seed=1) as other,
        dead_hosts() as dead,
    ):
        yield Town(main, other, dead)


class Stage:
    """One cell: the names of everybody in it, which no other cell has."""

    def __init__(self, cell: Cell, there: Town, client: str = "") -> None:
        self.cell = cell
        self.town = there
        name = cell.id + client
        self.model = f"a-{name}"
        self.other_model = f"b-{name}"
        self.secrets = {
            who: SECRET.format(name, who.replace(" ", "-"))
            for who in (FIRST, "other key", "other account", "other provider")
        }

    def furnish(self, pool: Pool) -> None:
        """Tell the vendors whom the fault strikes, and fill the pool."""
        self._order()
        self._fill(pool)

    def name(self, target: Any) -> str:
        """Name a candidate in the words of the table."""
        if target.provider_slug == "other":
            return self.cell.left
        if target.upstream_model == self.other_model:
            return "other model"
        return {102: "other key", 103: "other account"}.get(target.credential_id, FIRST)

    def left_over(self, pool: Pool) -> tuple[str, str, str] | None:
        """Return address, secret and model of whoever is left, None for nobody."""
        left = self.cell.left
        if left == "none":
            return None
        is_elsewhere = left in _ELSEWHERE
        provider = pool.providers[2 if is_elsewhere else 1]
        secret = self.secrets[FIRST]
        if left in self.secrets or is_elsewhere:
            secret = self.secrets["other provider" if is_elsewhere else left]
        model = self.other_model if left in _OTHER_MODEL else self.model
        return provider.base_url, secret, model

    def _order(self) -> None:
        """Tell the vendors whom the fault strikes."""
        fault, spec = self.cell.fault, self.cell.scenario
        if fault.where == "host":
            return
        if fault.where == "request":
            struck = [self.model]
            if not fault.helped_by:
                struck.append(self.other_model)
        elif fault.where == "candidate" and self.cell.left == "other model":
            struck = [self.model]
        else:
            struck = [self.secrets[FIRST]]
        vendors = [self.town.main]
        if fault.where == "request":
            vendors.append(self.town.other)
        for vendor in vendors:
            for target in struck:
                vendor.control.orders[target] = spec

    def _fill(self, pool: Pool) -> None:
        left = self.cell.left
        main = self._main_url()
        models: tuple[str, ...] = (self.model,)
        if left == "other model":
            models += (self.other_model,)
        first = pool.add_provider(
            main, models=models, slug="main", priority=90, timeouts=DEADLINES
        )
        credentials = [pool.credential(101, self.secrets[FIRST], main, priority=60)]
        if left == "other key":
            credentials.append(pool.credential(102, self.secrets[left], main))
        elif left == "other account":
            secret = self.secrets[left]
            account = pool.credential(103, secret, main, kind="account")
            credentials.append(account)
        pool.set_provider(first, credentials=tuple(credentials))
        targets = [types.TargetRecord(self.model)]
        if left in _ELSEWHERE:
            name = self.model if left == "other provider" else self.other_model
            pool.add_provider(
                self.town.other.base_url,
                models=(name,),
                secrets=(self.secrets["other provider"],),
                slug="other",
                timeouts=DEADLINES,
            )
        if left in _OTHER_MODEL:
            targets.append(types.TargetRecord(self.other_model))
        for row, model in pool.models.items():
            window = 200_000 if model.model_id == self.other_model else 8_000
            pool.models[row] = replace(model, context_window=window)
        pool.aliases[ASKED] = types.AliasRecord(ASKED, tuple(targets))
        pool.set(routing=ROUTING)

    def _main_url(self) -> str:
        if self.cell.fault.where != "host":
            return self.town.main.base_url
        return self.town.dead.urls[self.cell.fault.name]
