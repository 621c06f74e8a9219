"""Client keys, teams and budgets."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Status

from poolsite.models import User
from poolsite.money import nano_from_usd
from providers.api import schemas
from providers.api.auth import actor_of
from usage import selectors, services
from usage.budgets import services as budget_services
from usage.models import Budget, ClientKey, Team

router = Router(tags=["client keys"])


@router.get("/client-keys")
def list_client_keys(request: HttpRequest) -> list[dict[str, Any]]:
    """List live client keys with their budgets."""
    return selectors.key_table()


@router.post("/client-keys", response={201: dict[str, Any]})
def create_client_key(
    request: HttpRequest, data: schemas.ClientKeyCreate
) -> Status[dict[str, Any]]:
    """Create a client key; ``key`` is its text, shown this once."""
    values = data.model_dump(exclude_unset=True, exclude={"budget", "name"})
    values["team"] = _team(data.team) if data.team else None
    values["owner"] = _owner(data.owner) if data.owner else None
    actor = actor_of(request)
    with transaction.atomic():
        key, text = services.create_key(actor, data.name, **values)
        if data.budget is not None:
            services.set_key_budget(actor, key, _terms(data.budget))
    return Status(
        201, {**selectors.key_facts(key), "public_id": key.public_id, "key": text}
    )


@router.get("/client-keys/{name}")
def get_client_key(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return one live client key."""
    return selectors.key_facts(_key(name))


@router.patch("/client-keys/{name}")
def update_client_key(
    request: HttpRequest, name: str, data: schemas.ClientKeyValues
) -> dict[str, Any]:
    """Change what a key may do; what is absent stays as it is."""
    values = data.model_dump(exclude_unset=True)
    if "team" in values:
        values["team"] = _team(values["team"]) if values["team"] else None
    if "owner" in values:
        values["owner"] = _owner(values["owner"]) if values["owner"] else None
    key = services.update_key(actor_of(request), _key(name), **values)
    return selectors.key_facts(key)


@router.put("/client-keys/{name}/budget")
def set_key_budget(
    request: HttpRequest, name: str, data: schemas.BudgetTermsIn
) -> dict[str, Any]:
    """Set a key's own budget."""
    key = _key(name)
    services.set_key_budget(actor_of(request), key, _terms(data))
    return selectors.key_facts(key)


@router.delete("/client-keys/{name}/budget", response={204: None})
def remove_key_budget(request: HttpRequest, name: str) -> Status[None]:
    """Take a key's own budget away."""
    services.set_key_budget(actor_of(request), _key(name), None)
    return Status(204, None)


@router.post("/client-keys/{name}/rotate")
def rotate_client_key(
    request: HttpRequest, name: str, data: schemas.Rotate
) -> dict[str, str]:
    """Give a key a new text, shown this once."""
    text = services.rotate_key(actor_of(request), _key(name), grace=data.grace)
    return {"key": text}


@router.post("/client-keys/{name}/revoke", response={204: None})
def revoke_client_key(request: HttpRequest, name: str) -> Status[None]:
    """Revoke a key for good."""
    services.revoke_key(actor_of(request), _key(name))
    return Status(204, None)


@router.get("/teams")
def list_teams(request: HttpRequest) -> list[dict[str, Any]]:
    """List teams."""
    return selectors.team_table()


@router.post("/teams", response={201: list[dict[str, Any]]})
def create_team(
    request: HttpRequest, data: schemas.TeamCreate
) -> Status[list[dict[str, Any]]]:
    """Create a team; returns all teams."""
    services.create_team(actor_of(request), slug=data.id, name=data.name)
    return Status(201, selectors.team_table())


@router.get("/budgets")
def list_budgets(request: HttpRequest) -> list[dict[str, Any]]:
    """List every budget: the pool's, teams', keys', those of agents and sessions."""
    return selectors.budget_table()


@router.put("/budgets")
def set_shared_budget(
    request: HttpRequest, data: schemas.SharedBudget
) -> list[dict[str, Any]]:
    """Set the budget of any scope; returns all budgets."""
    whose = budget_services.Whose(
        data.scope or ("team" if data.team else "pool"),
        key=_key(data.key) if data.key else None,
        team=_team(data.team) if data.team else None,
        applies_to=data.applies_to,
        value=data.value.strip(),
    )
    budget_services.add_budget(actor_of(request), whose, _terms(data))
    return selectors.budget_table()


@router.patch("/budgets/{int:budget_id}")
def change_budget(
    request: HttpRequest, budget_id: int, data: schemas.BudgetTermsIn
) -> list[dict[str, Any]]:
    """Change how much a budget allows; returns all budgets."""
    budget = get_object_or_404(Budget, pk=budget_id)
    budget_services.change_budget(actor_of(request), budget, _terms(data))
    return selectors.budget_table()


@router.post("/budgets/{int:budget_id}/increase")
def increase_budget(
    request: HttpRequest, budget_id: int, data: schemas.Increase
) -> list[dict[str, Any]]:
    """Allow more until a moment; returns all budgets."""
    budget = get_object_or_404(Budget, pk=budget_id)
    extra = nano_from_usd(data.extra_usd)
    budget_services.increase_budget(actor_of(request), budget, extra, data.until)
    return selectors.budget_table()


@router.delete("/budgets/{int:budget_id}", response={204: None})
def remove_budget(request: HttpRequest, budget_id: int) -> Status[None]:
    """Take a budget away."""
    budget = get_object_or_404(Budget, pk=budget_id)
    services.remove_budget(actor_of(request), budget)
    return Status(204, None)


def _key(name: str) -> ClientKey:
    return get_object_or_404(ClientKey, name=name, revoked_at=None)


def _owner(email: str) -> User:
    return get_object_or_404(User, email__iexact=email)


def _team(slug: str) -> Team:
    return get_object_or_404(Team, slug=slug)


def _terms(data: schemas.BudgetTermsIn) -> services.BudgetTerms:
    return services.BudgetTerms(
        amount_nano_usd=nano_from_usd(data.amount_usd),
        window=data.window,
        hard=data.hard,
        time_zone=data.time_zone,
        warn_nano_usd=None if data.warn_usd is None else nano_from_usd(data.warn_usd),
    )
