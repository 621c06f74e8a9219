"""Take a routing from one pool to another: as a document, published whole."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from providers import selectors_routing as selectors
from providers.models import RoutingRevision
from providers.services import routing, routing_checks, routing_rules
from providers.services.errors import ServiceError
from providers.snapshot.types import RoutingRecord, RuleRecord

_CLOCK: Final = SystemClock()
_KNOWN: Final = routing.EDITABLE | {"rules"}
_MOST_NAMED: Final = 5


def document() -> dict[str, Any] | None:
    """Return the routing in force without its defaults, None where none was published.

    Cost:  one query.
    """
    standing = selectors.standing()
    if standing.published is None:
        return None
    record = msgspec.structs.replace(standing.in_force, revision=0)
    found: dict[str, Any] = msgspec.to_builtins(record)
    return found


@one_change
def adopt(
    actor: Actor, found: dict[str, Any], *, note: str, clock: Clock = _CLOCK
) -> RoutingRevision | None:
    """Publish a document; a draft stays as it is. None = it is in force already.

    Errors:  ServiceError for a document that cannot be read or be in force.
    """
    record = _read(found)
    standing = selectors.standing()
    if selectors.is_same(standing.in_force, record):
        return None
    return routing.publish_record(actor, record, note=note, clock=clock)


def _read(found: dict[str, Any]) -> RoutingRecord:
    rules = found.get("rules")
    listed = rules if isinstance(rules, list) else []
    strange = set(found) - _KNOWN
    for rule in listed:
        if isinstance(rule, dict):
            strange |= set(rule) - {*RuleRecord.__struct_fields__}
    if strange:
        named = ", ".join(repr(name[:40]) for name in sorted(strange)[:_MOST_NAMED])
        raise ServiceError(f"Unknown settings: {named}.")
    try:
        record = msgspec.convert(found, RoutingRecord)
    except msgspec.ValidationError as exc:
        raise ServiceError(f"The routing cannot be read: {exc}.") from exc
    routing_checks.check(record)
    plain = tuple(routing_rules.plain(rule) for rule in record.rules)
    return msgspec.structs.replace(record, rules=plain)
