"""Routing: the draft and its rules, what is in force, the history, the explainer."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Annotated, Any, Literal

from django.http import Http404, HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from poolsite.columns import is_plain
from poolsite.money import nano_from_usd
from providers import selectors_routing as selectors
from providers.api.auth import actor_of
from providers.api.schemas import Strict
from providers.models import RoutingRevision
from providers.proxy.explaining import Ask
from providers.selectors_routing import PoolNames, Standing
from providers.services import (
    routing,
    routing_checks,
    routing_lab,
    routing_replay,
    routing_rules,
)
from providers.services.routing_words import Difference, differences, rule_in_words
from providers.snapshot.types import RoutingRecord, RuleRecord
from usage.models import ClientKey

router = Router(tags=["routing"])

_Seconds = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
_Usd = Annotated[Decimal, Field(gt=0, le=1_000_000_000)]
_Tag = Annotated[str, Field(max_length=40)]


class SettingsIn(Strict):
    """Settings of the draft; what is absent stays as it is.

    Shapes:  ``tag`` is the one a reading returned: a change in between is refused.
    """

    strategy: str | None = Field(None, max_length=20)
    mode: str | None = Field(None, max_length=10)
    format_affinity: bool | None = None
    sticky_s: _Seconds | None = None
    groups: list[str] | None = None
    cooldown: dict[str, _Seconds] | None = None
    first_token_s: _Seconds | None = None
    queue_length: int | None = Field(None, ge=0, le=1_000_000)
    queue_wait_s: _Seconds | None = None
    wait_cap_s: _Seconds | None = None
    tag: _Tag = ""


class RuleIn(Strict):
    """A fallback rule; ``below_usd`` is for the trigger low_funds."""

    trigger: str = Field(max_length=20)
    action: str = Field(max_length=20)
    name: str = Field("", max_length=120)
    enabled: bool = True
    provider: str = Field("", max_length=200)
    model: str = Field("", max_length=200)
    max_retries: int = Field(3, ge=1, le=100)
    backoff: Literal["exponential", "constant"] = "exponential"
    below_usd: _Usd | None = None
    limit: Literal["soft", "hard"] = "soft"
    models: list[str] = []
    agents: list[str] = []
    keys: list[str] = []
    tag: _Tag = ""

    def rule(self) -> RuleRecord:
        """Return the rule as it is kept."""
        values = self.dict(exclude={"tag", "below_usd"})
        below = self.below_usd
        values["below_nano_usd"] = None if below is None else nano_from_usd(below)
        return routing_rules.rule_of(values)


class MoveIn(Strict):
    """Where a rule goes."""

    to: int = Field(ge=1, le=1000)
    tag: _Tag = ""


class TagIn(Strict):
    """The state the change is meant for; blank = whatever it is."""

    tag: _Tag = ""


class PublishIn(TagIn):
    """Why, for the history."""

    note: str = Field("", max_length=200)


class RevertIn(Strict):
    """Why, for the history."""

    note: str = Field("", max_length=200)


class DefaultProviderIn(Strict):
    """A provider's slug; blank = nobody goes first."""

    provider: str = Field(max_length=200)


class DefaultModelIn(Strict):
    """A model or alias; blank = the well-known models of the pool share them."""

    model: str = Field(max_length=200)


class ExplainIn(Schema):
    """A request that is not sent.

    Shapes:  ``needs`` and ``down`` are words with commas between; ``down`` names
             providers, ``provider/model`` or masks of keys. ``draft`` asks the draft
             instead of what is in force.
    """

    model: str = Field("", max_length=200)
    key: str = Field("", max_length=120)
    needs: str = Field("", max_length=200)
    strategy: str = Field("", max_length=20)
    mode: str = Field("", max_length=10)
    down: str = Field("", max_length=2000)
    draft: bool = False


@router.get("/routing")
def get_routing(request: HttpRequest) -> dict[str, Any]:
    """Return what is in force and the draft, with what the draft changes."""
    return _facts(selectors.standing())


@router.patch("/routing/draft")
def change_draft(request: HttpRequest, data: SettingsIn) -> dict[str, Any]:
    """Change settings in the draft; one is begun where there is none."""
    values = data.dict(exclude_unset=True, exclude={"tag"})
    values = {name: value for name, value in values.items() if value is not None}
    return _facts(routing.change_settings(actor_of(request), values, tag=data.tag))


@router.post("/routing/draft/rules", response={201: dict[str, Any]})
def add_rule(request: HttpRequest, data: RuleIn) -> Status[dict[str, Any]]:
    """Add a rule at the end of the draft."""
    made = routing_rules.add_rule(actor_of(request), data.rule(), tag=data.tag)
    return Status(201, _facts(made))


@router.put("/routing/draft/rules/{int:place}")
def set_rule(request: HttpRequest, place: int, data: RuleIn) -> dict[str, Any]:
    """Put a rule in the place of another."""
    _has_rule(place)
    actor = actor_of(request)
    return _facts(routing_rules.set_rule(actor, place, data.rule(), tag=data.tag))


@router.delete("/routing/draft/rules/{int:place}")
def remove_rule(request: HttpRequest, place: int, tag: str = "") -> dict[str, Any]:
    """Take a rule out of the draft."""
    _has_rule(place)
    return _facts(routing_rules.remove_rule(actor_of(request), place, tag=tag))


@router.post("/routing/draft/rules/{int:place}/move")
def move_rule(request: HttpRequest, place: int, data: MoveIn) -> dict[str, Any]:
    """Move a rule to another place."""
    _has_rule(place)
    actor = actor_of(request)
    return _facts(routing_rules.move_rule(actor, place, data.to, tag=data.tag))


@router.post("/routing/draft/rules/{int:place}/enable")
def enable_rule(request: HttpRequest, place: int) -> dict[str, Any]:
    """Switch a rule on."""
    _has_rule(place)
    return _facts(routing_rules.switch_rule(actor_of(request), place, enabled=True))


@router.post("/routing/draft/rules/{int:place}/disable")
def disable_rule(request: HttpRequest, place: int) -> dict[str, Any]:
    """Switch a rule off, keeping its place."""
    _has_rule(place)
    return _facts(routing_rules.switch_rule(actor_of(request), place, enabled=False))


@router.get("/routing/draft/replay")
def replay_draft(
    request: HttpRequest, count: Annotated[int, Query(ge=1, le=200)] = 200
) -> dict[str, Any]:
    """Say which of the last requests the draft would send elsewhere."""
    standing = selectors.standing()
    found = routing_replay.replay(standing.in_force, standing.edited, count=count)
    return routing_replay.facts(found)


@router.post("/routing/draft/publish")
def publish_draft(request: HttpRequest, data: PublishIn) -> dict[str, Any]:
    """Put the draft in force."""
    row = routing.publish(actor_of(request), note=data.note, tag=data.tag)
    return selectors.revision_facts(row)


@router.delete("/routing/draft", response={204: None})
def discard_draft(request: HttpRequest, tag: str = "") -> Status[None]:
    """Throw the draft away."""
    routing.discard(actor_of(request), tag=tag)
    return Status(204, None)


@router.get("/routing/history")
def list_history(
    request: HttpRequest,
    before: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> list[dict[str, Any]]:
    """List what was published, newest first, fifty at a time."""
    return [selectors.revision_facts(row) for row in selectors.history(before)]


@router.get("/routing/history/{int:number}")
def get_revision(request: HttpRequest, number: int) -> dict[str, Any]:
    """Return one published routing."""
    row = _published(number)
    record = selectors.record_of(row)
    return {
        **selectors.revision_facts(row),
        "routing": _told(record),
    }


@router.post("/routing/history/{int:number}/revert")
def revert(request: HttpRequest, number: int, data: RevertIn) -> dict[str, Any]:
    """Publish an older routing again, under a new number; 0 = the defaults."""
    if number:
        _published(number)
    row = routing.revert(actor_of(request), number, note=data.note)
    return selectors.revision_facts(row)


@router.get("/routing/default-model")
def get_default_model(request: HttpRequest) -> dict[str, str]:
    """Return what a request asks for that names no model."""
    return {"model": selectors.default_model()}


@router.get("/routing/default-provider")
def get_default_provider(request: HttpRequest) -> dict[str, str]:
    """Return who goes first for a name that names no provider."""
    return {"provider": selectors.default_provider()}


@router.put("/routing/default-provider")
def set_default_provider(
    request: HttpRequest, data: DefaultProviderIn
) -> dict[str, str]:
    """Say who goes first for a name that names no provider."""
    routing.set_default_provider(actor_of(request), data.provider)
    return {"provider": selectors.default_provider()}


@router.put("/routing/default-model")
def set_default_model(request: HttpRequest, data: DefaultModelIn) -> dict[str, str]:
    """Say what a request asks for that names no model."""
    routing.set_default_model(actor_of(request), data.model)
    return {"model": selectors.default_model()}


@router.get("/routes/explain")
def explain_route(
    request: HttpRequest, data: Annotated[ExplainIn, Query()]
) -> dict[str, Any]:
    """Say where a request would go, and why; nothing is sent."""
    key = None
    if data.key:
        found = ClientKey.objects.filter(revoked_at=None)
        key = found.filter(name=data.key).first() if is_plain(data.key) else None
        if key is None:
            raise Http404
    standing = selectors.standing()
    ask = Ask(
        model=data.model,
        needs=tuple(_words(data.needs)),
        strategy=data.strategy or None,
        mode=data.mode or None,
    )
    record = standing.edited if data.draft else standing.in_force
    answer = routing_lab.explain(record, ask, key=key, down=_words(data.down))
    return dataclasses.asdict(answer)


def _facts(standing: Standing) -> dict[str, Any]:
    draft = None
    if standing.draft is not None:
        edited = standing.edited
        flags = routing_checks.flags(edited, PoolNames())
        draft = {
            **selectors.revision_facts(standing.draft),
            "based_on": edited.revision,
            "is_overtaken": standing.is_overtaken,
            "routing": _told(edited),
            "changes": [_line(each) for each in differences(standing.in_force, edited)],
            "warnings": [each._asdict() for each in flags],
        }
    in_force = _told(standing.in_force)
    return {"tag": standing.tag, "in_force": in_force, "draft": draft}


def _told(record: RoutingRecord) -> dict[str, Any]:
    facts = selectors.routing_facts(record)
    for told, rule in zip(facts["rules"], record.rules, strict=True):
        told["words"] = rule_in_words(rule)
    return facts


def _words(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _line(each: Difference) -> dict[str, str]:
    return each._asdict()


def _has_rule(place: int) -> None:
    if not 1 <= place <= len(selectors.standing().edited.rules):
        raise Http404


def _published(number: int) -> RoutingRevision:
    if number >= 2**31:
        raise Http404
    row = RoutingRevision.objects.filter(is_draft=False, number=number)
    found = row.select_related("author").first()
    if found is None:
        raise Http404
    return found
