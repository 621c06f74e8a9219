"""Plan the last requests on the draft and on what is in force; nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from poolsite.clock import Clock, SystemClock
from providers.formats import registry
from providers.proxy.explaining import Ask, Explainer
from providers.services import routing_lab as lab
from providers.services.routing_requests import PastAsk, last_asks
from providers.snapshot.build import client_key_records
from providers.snapshot.types import ClientKeyRecord, RoutingRecord

_CLOCK: Final = SystemClock()
MOST: Final = 200
_USUAL: Final = "openai"


@dataclass(frozen=True)
class Elsewhere:
    """A request whose first call would be another; blank = it would be refused."""

    ask: PastAsk
    now: str
    then: str


@dataclass
class Replay:
    """What became of the last requests.

    Shapes:  ``count`` were planned; ``lost`` are refused on the draft only, ``won`` on
             what is in force only. ``unknown_keys`` came with keys that are gone.
    """

    count: int = 0
    elsewhere: list[Elsewhere] = field(default_factory=list)
    lost: int = 0
    won: int = 0
    unknown_keys: int = 0


def replay(
    in_force: RoutingRecord,
    draft: RoutingRecord,
    *,
    count: int = MOST,
    clock: Clock = _CLOCK,
) -> Replay:
    """Say which of the last requests of clients the draft would send elsewhere first.

    Shapes:  equals take turns on both sides alike, request by request, so that what
             differs is due to the draft. Figures only live workers know (speed, calls
             under way) are unknown on both sides.
    Cost:    some 10 queries and 50 us a request and side.
    """
    asks = last_asks(min(count, MOST))
    ids = {ask.key_id for ask in asks if ask.key_id is not None}
    keys = client_key_records(ids, clock.now())
    sides = lab.explainers([in_force, draft], clock=clock)
    found = Replay()
    for ask in asks:
        caller = lab.ANYBODY if ask.key_id is None else keys.get(ask.key_id)
        if caller is None:
            found.unknown_keys += 1
            continue
        now, then = (_first(side, ask, caller) for side in sides)
        found.count += 1
        if now == then:
            continue
        found.elsewhere.append(Elsewhere(ask, now, then))
        found.lost += not then
        found.won += not now
    found.elsewhere.reverse()
    return found


def facts(found: Replay) -> dict[str, Any]:
    """Return a replay as plain data."""
    return {
        "requests": found.count,
        "elsewhere": len(found.elsewhere),
        "refused_on_draft": found.lost,
        "refused_in_force": found.won,
        "keys_gone": found.unknown_keys,
        "changes": [
            {
                "request": str(each.ask.id),
                "at": each.ask.at.isoformat(),
                "model": each.ask.model,
                "client_key": each.ask.key or None,
                "in_force": each.now or None,
                "draft": each.then or None,
            }
            for each in found.elsewhere
        ],
    }


def _first(side: Explainer, past: PastAsk, caller: ClientKeyRecord) -> str:
    dialect = past.dialect if past.dialect in registry.formats() else _USUAL
    ask = Ask(model=past.model, needs=past.needs, dialect=dialect)
    route = side.first(ask, caller)
    return "" if route is None else f"{route.provider.slug}/{route.model.model_id}"
