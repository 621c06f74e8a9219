"""Pools in which something is wrong, and whether the diagnosis finds out what.

One thing is to blame in each episode: a few keys, a model, a vendor account, a
provider, or the way out. Requests walk the candidates as the proxy does, in random
order and past whoever is cooling; a hundredth of all calls fails without a cause.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from poolsite.clock import ManualClock
from providers.routing.health import Health
from providers.routing.subjects import parse
from providers.routing.types import Route
from tests.providers.snapshot.records import model, provider

CAUSES = ("key", "model", "account", "provider", "egress")
KINDS = {
    "key": ("rate_limit", "quota", "auth", "server_error"),
    "model": ("unavailable", "server_error", "rate_limit", "timeout"),
    "account": ("quota", "auth", "rate_limit"),
    "provider": ("rate_limit", "unavailable", "server_error", "timeout", "auth"),
    "egress": ("connect", "timeout"),
}
NOISE = 0.01
RATE = 25.0
REQUESTS = 200
ATTEMPTS = 8
_WIDEST_FIRST = ("egress", "provider", "account", "model")


@dataclass
class Trouble:
    """What is wrong in one pool.

    Shapes: ``bad`` are ids of keys, models or providers, by the cause.
    """

    cause: str
    kind: str
    bad: frozenset[int]

    def fails(self, route: Route) -> bool:
        """Tell whether a call of this route fails for it."""
        if self.cause == "egress":
            return True
        if self.cause == "provider":
            return route.provider.id in self.bad
        if self.cause == "model":
            return route.model.id in self.bad
        assert route.credential is not None
        return route.credential.id in self.bad


@dataclass
class Pool:
    """A pool of some providers: its routes by model, its keys by account."""

    routes: dict[int, list[Route]] = field(default_factory=dict)
    accounts: dict[str, list[int]] = field(default_factory=dict)
    providers: list[int] = field(default_factory=list)


def _pool(chance: random.Random) -> Pool:
    made = Pool()
    models = chance.randint(2, 6)
    for number in range(1, chance.randint(2, 5) + 1):
        template = provider(number)
        keys = []
        account, left = 0, 0
        for key in range(1, chance.randint(4, 9) + 1):
            if left == 0:
                account, left = account + 1, chance.randint(1, 4)
            left -= 1
            name = f"org-{number}-{account}"
            key_id = number * 100 + key
            made.accounts.setdefault(name, []).append(key_id)
            keys.append(msgspec.structs.replace(template.credentials[0], id=key_id))
        record = msgspec.structs.replace(template, credentials=tuple(keys))
        made.providers.append(number)
        for place in range(models):
            own = model(number * 1_000 + place, number)
            offers = made.routes.setdefault(place, [])
            offers.extend(Route(record, own, each) for each in keys)
    return made


def _trouble(cause: str, pool: Pool, chance: random.Random) -> Trouble:
    kind = chance.choice(KINDS[cause])
    bad: list[int] = []
    if cause == "key":
        accounts = chance.sample(sorted(pool.accounts), k=min(3, len(pool.accounts)))
        many = chance.choice((1, 1, 2, 3))
        bad = [chance.choice(pool.accounts[name]) for name in accounts[:many]]
    elif cause == "model":
        some = chance.choice(pool.routes[chance.randrange(len(pool.routes))])
        bad = [some.model.id]
    elif cause == "account":
        large = [name for name, keys in pool.accounts.items() if len(keys) >= 3]
        if not large:
            return _trouble("provider", pool, chance)
        bad = pool.accounts[chance.choice(sorted(large))]
    elif cause == "provider":
        bad = [chance.choice(pool.providers)]
    return Trouble(cause, kind, frozenset(bad))


def _request(
    health: Health, routes: list[Route], trouble: Trouble, chance: random.Random
) -> None:
    """Walk the candidates of one request until somebody serves it."""
    order = chance.sample(routes, len(routes))
    tried = 0
    for route in order:
        if health.cooling(route) is None:
            tried += 1
            if _attempt(health, route, trouble, chance) or tried >= ATTEMPTS:
                return
    last = health.least_bad(order)
    if last is not None and not tried:
        _attempt(health, last, trouble, chance)


def _attempt(
    health: Health, route: Route, trouble: Trouble, chance: random.Random
) -> bool:
    health.begin(route)
    if trouble.fails(route):
        health.report(route, trouble.kind)
        return False
    if chance.random() < NOISE:
        health.report(route, "server_error")
        return False
    health.report(route, "ok")
    return True


def episode(cause: str, seed: int) -> tuple[str, str]:
    """Play one; return the true cause and the one that was found."""
    chance = random.Random(seed)
    clock = ManualClock()
    health = Health(clock)
    pool = _pool(chance)
    for number, (name, keys) in enumerate(sorted(pool.accounts.items())):
        for route in pool.routes[0]:
            if route.credential is not None and route.credential.id in keys:
                health.belongs(route, f"{name}-{number}")
    trouble = _trouble(cause, pool, chance)
    for _ in range(REQUESTS):
        wanted = chance.randrange(len(pool.routes))
        _request(health, pool.routes[wanted], trouble, chance)
        clock.advance(chance.expovariate(RATE))
    return trouble.cause, found(health)


def found(health: Health) -> str:
    """Name what the health view blames: the widest of its events, else single keys."""
    scopes = set()
    for subject in health.events():
        parts = parse(subject)
        scopes.add("" if parts is None else parts.scope)
    return next((scope for scope in _WIDEST_FIRST if scope in scopes), "key")


def confusion(count: int, seed: int) -> Counter[tuple[str, str]]:
    """Play many episodes, as many of each cause; count what was taken for what."""
    return Counter(
        episode(CAUSES[number % len(CAUSES)], seed * 1_000_003 + number)
        for number in range(count)
    )


def share_right(table: Counter[tuple[str, str]]) -> float:
    """Return the part that was found out."""
    right = sum(n for (true, named), n in table.items() if true == named)
    return right / table.total()
