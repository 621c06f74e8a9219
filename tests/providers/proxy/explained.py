"""Draw a pool, ask the explainer, then send the request: both must agree."""

from __future__ import annotations

import random
from typing import Any, Final, NamedTuple

import msgspec

from pricing.cost import PriceSpec
from providers.proxy.explaining import Ask, Explainer, Explanation
from providers.routing.order import Lineup
from providers.routing.strategies import MODES, STRATEGIES
from providers.snapshot.types import AliasRecord, RoutingRecord, TargetRecord
from tests.providers.proxy.pool import Pool, chat

NAMES: Final = ("gpt-test", "claude-test", "other-test")
GROUPS: Final = ("free", "paid", "official", "other", "p1*")
KINDS: Final = ("quota", "rate_limit", "auth", "model", "connect")
TOOLS: Final = [{"type": "function", "function": {"name": "f"}}]


class Compared(NamedTuple):
    """What came of one pool: a problem, blank for none, and whether anybody was asked."""

    problem: str
    was_asked: bool


async def compared(seed: int, base_url: str) -> Compared:
    """Say how the explainer and the first hop differ.

    Also checks that the order is a permutation, and that nobody who is cooling goes
    first while another could.
    """
    drawn = random.Random(seed)
    async with Pool() as pool:
        _fill(pool, drawn, base_url)
        body, asked = _request(drawn)
        record = pool.keys[pool.key[3:11]]
        explainer = Explainer(pool.snapshot(), pool.health, pool.clock, pool.pulse)
        told = explainer.explain(asked, record)
        problem = _order_problem(pool, asked.model, told)
        headers = {"authorization": f"Bearer {pool.key}"}
        for word, value in (("strategy", asked.strategy), ("mode", asked.mode)):
            if value is not None:
                headers[f"x-pool-{word}"] = value
        answer = await pool.call(body, headers=headers)
        first = _first_hop(pool)
        expected = _first_told(told)
        if first != expected:
            problem = f"asked {first}, told {expected}"
        if not first and answer.status == 200:
            problem = "served without an attempt"
        told_of = f"seed {seed}: {problem}; {told}" if problem else ""
        return Compared(told_of, first is not None)


def _fill(pool: Pool, drawn: random.Random, base_url: str) -> None:
    """Draw providers, keys, models, aliases, a routing, cooldowns and figures."""
    for number in range(1, drawn.randint(1, 6) + 1):
        keys = drawn.randint(1, 3)
        pool.add_provider(
            base_url,
            secrets=tuple(f"sk-test-key-{number}{key}01" for key in range(keys)),
            models=tuple(name for name in NAMES if drawn.random() < 0.9),
            price=drawn.choice((None, *(_price(n) for n in (0, 1, 2)))),
            priority=drawn.choice((10, 50, 50, 90)),
            weight=drawn.choice((1, 1, 3)),
            location=drawn.choice(("cloud", "cloud", "local")),
            format="martian" if drawn.random() < 0.15 else "openai",
            catalogue=drawn.choice(("", "", "openai", "ollama")),
        )
    for row in list(pool.models):
        lacks = ("tools",) if drawn.random() < 0.3 else ()
        pool.models[row] = msgspec.structs.replace(pool.models[row], lacks=lacks)
    targets = tuple(
        TargetRecord(drawn.choice(NAMES), drawn.choice(("", "p1", "p2")))
        for _ in range(drawn.randint(1, 3))
    )
    pool.aliases["alias"] = AliasRecord("alias", targets)
    pool.set(
        routing=RoutingRecord(
            strategy=drawn.choice(STRATEGIES),
            mode=_seldom(drawn, *MODES) or "auto",
            format_affinity=drawn.random() < 0.5,
            groups=tuple(drawn.sample(GROUPS, drawn.choice((0, 0, 1, 3)))),
        )
    )
    pool.set_key(
        overrides_allowed=("strategy", "mode"),
        default_strategy=drawn.choice(("", "", *STRATEGIES)),
        default_mode=_seldom(drawn, *MODES),
        model_access=_seldom(drawn, "only") or "all",
        models_allowed=("gpt-*", "alias"),
        provider_access=_seldom(drawn, "only") or "all",
        providers_allowed=("p1", "p3"),
        unpriced=_seldom(drawn, "block") or "allow",
    )
    _feel(pool, drawn)


def _feel(pool: Pool, drawn: random.Random) -> None:
    """Draw whose turn it is, how routes fare, and who is cooling."""
    for name in (*NAMES, "alias"):
        for _ in range(drawn.randint(0, 5)):
            pool.turns.take(name)
        for route in list(pool.snapshot().resolve(name).candidates):
            if drawn.random() < 0.5:
                pool.pulse.served(route, drawn.random())
            for _ in range(drawn.randint(0, 2)):
                pool.pulse.begin(route)
            if drawn.random() < 0.2:
                kind = drawn.choice(KINDS)
                for _ in range(3):
                    pool.health.report(route, kind)


def _request(drawn: random.Random) -> tuple[dict[str, Any], Ask]:
    name = _seldom(drawn, "p1/gpt-test", "auto", "nothing")
    name = name or drawn.choice((*NAMES, "alias"))
    needs = ("tools",) if drawn.random() < 0.4 else ()
    body = chat(name, tools=TOOLS) if needs else chat(name)
    asked = Ask(
        model=name,
        needs=needs,
        strategy=drawn.choice((None, None, *STRATEGIES)),
        mode=_seldom(drawn, *MODES) or None,
    )
    return body, asked


def _first_hop(pool: Pool) -> tuple[str, str, str] | None:
    if not pool.intents:
        return None
    target = pool.intents[0].target
    return target.provider_slug, target.upstream_model, target.credential_mask


def _first_told(told: Explanation) -> tuple[str, str, str] | None:
    for each in told.candidates:
        if each.place == 1:
            return each.provider, each.model, each.credential
    return None


def _order_problem(pool: Pool, name: str, told: Explanation) -> str:
    """Say what is wrong with an order: doubles, losses, cooling before usable."""
    found = pool.snapshot().resolve(name)
    seen = [(each.provider, each.model, each.credential) for each in told.candidates]
    whole = Lineup(found.order("priority", "auto"), 0)
    names = [
        (r.provider.slug, r.model.model_id, r.credential.mask if r.credential else "")
        for r in whole
    ]
    if told.candidates and sorted(seen) != sorted(names):
        return "the order is no permutation"
    places = {each.place: each.verdict for each in told.candidates if each.place}
    if places.get(1) == "last_resort" and "next" in places.values():
        return "one that is cooling goes before one that is not"
    return ""


def _seldom(drawn: random.Random, *words: str) -> str:
    """Draw one of a few words, mostly none."""
    return drawn.choice(words) if drawn.random() < 0.2 else ""


def _price(amount: int) -> PriceSpec:
    return PriceSpec(input=amount * 10**9, output=amount * 10**9)
