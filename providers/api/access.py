"""Client keys, prices, usage, people and API tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router
from ninja.errors import HttpError

from poolsite import people, tokens
from poolsite.accounts import role_of
from poolsite.models import ApiToken, User
from poolsite.money import nano_from_usd, per_million_nano_from_usd
from pricing import selectors as price_selectors
from pricing import services as price_services
from pricing.cost import PriceSpec
from providers.api import schemas
from providers.api.auth import actor_of, require_owner
from usage import selectors, services
from usage.models import ClientKey

router = Router(tags=["access"])


@router.get("/client-keys")
def list_client_keys(request: HttpRequest) -> list[dict[str, Any]]:
    """List live client keys with their budgets."""
    return selectors.key_table()


@router.post("/client-keys", response={201: dict[str, Any]})
@transaction.atomic
def create_client_key(
    request: HttpRequest, data: schemas.ClientKeyCreate
) -> tuple[int, dict[str, Any]]:
    """Create a client key; ``key`` is its text, shown this once."""
    values = data.model_dump(exclude_unset=True, exclude={"budget", "name"})
    actor = actor_of(request)
    key, text = services.create_key(actor, data.name, **values)
    if data.budget is not None:
        services.set_key_budget(actor, key, _terms(data.budget))
    return 201, {"name": key.name, "public_id": key.public_id, "key": text}


@router.patch("/client-keys/{name}")
def update_client_key(
    request: HttpRequest, name: str, data: schemas.ClientKeyValues
) -> list[dict[str, Any]]:
    """Change what a key may do; returns live keys."""
    values = data.model_dump(exclude_unset=True)
    services.update_key(actor_of(request), _key(name), **values)
    return selectors.key_table()


@router.put("/client-keys/{name}/budget")
def set_budget(
    request: HttpRequest, name: str, data: schemas.BudgetTermsIn
) -> list[dict[str, Any]]:
    """Set a key's own budget; returns live keys."""
    services.set_key_budget(actor_of(request), _key(name), _terms(data))
    return selectors.key_table()


@router.delete("/client-keys/{name}/budget", response={204: None})
def remove_budget(request: HttpRequest, name: str) -> tuple[int, None]:
    """Take a key's own budget away."""
    services.set_key_budget(actor_of(request), _key(name), None)
    return 204, None


@router.post("/client-keys/{name}/rotate")
def rotate_client_key(
    request: HttpRequest, name: str, data: schemas.Rotate
) -> dict[str, str]:
    """Give a key a new text, shown this once."""
    text = services.rotate_key(actor_of(request), _key(name), grace=data.grace)
    return {"key": text}


@router.post("/client-keys/{name}/revoke", response={204: None})
def revoke_client_key(request: HttpRequest, name: str) -> tuple[int, None]:
    """Revoke a key for good."""
    services.revoke_key(actor_of(request), _key(name))
    return 204, None


@router.get("/prices")
def list_prices(request: HttpRequest) -> list[dict[str, Any]]:
    """List the prices people set, in USD per million tokens."""
    return price_selectors.custom_price_table()


@router.put("/prices/{path:model}")
def set_price(
    request: HttpRequest, model: str, data: schemas.PriceSet
) -> list[dict[str, Any]]:
    """Set the price of a model or pattern; returns all prices people set."""
    values = data.model_dump(exclude={"provider", "per_request"})
    prices = {
        name: None if value is None else per_million_nano_from_usd(value)
        for name, value in values.items()
    }
    if data.per_request is not None:
        prices["per_request"] = per_million_nano_from_usd(data.per_request * 1_000_000)
    price_services.set_price(
        actor_of(request), model, PriceSpec(**prices), provider_slug=data.provider
    )
    return price_selectors.custom_price_table()


@router.delete("/prices/{path:model}", response={204: None})
def remove_price(
    request: HttpRequest, model: str, provider: str = ""
) -> tuple[int, None]:
    """Go back to the book's price."""
    row = price_selectors.custom_price(model, provider)
    if row is None:
        raise HttpError(404, "No price was set for this model.")
    price_services.remove_price(actor_of(request), row)
    return 204, None


@router.get("/usage")
def usage(
    request: HttpRequest,
    since: datetime | None = None,
    until: datetime | None = None,
    by: Literal[
        "provider", "model", "key", "team", "user", "session", "agent", "status"
    ]
    | None = None,
) -> dict[str, Any]:
    """Sum requests, tokens and cost."""
    return selectors.usage_summary(since=since, until=until, by=by)


@router.get("/users")
def list_users(request: HttpRequest) -> list[dict[str, Any]]:
    """List people and their roles."""
    rows = User.objects.prefetch_related("groups").order_by("email")
    return [
        {
            "id": row.pk,
            "email": row.email,
            "role": role_of(row),
            "active": row.is_active,
        }
        for row in rows
    ]


@router.post("/users", response={201: dict[str, Any]})
def create_user(
    request: HttpRequest, data: schemas.UserCreate
) -> tuple[int, dict[str, Any]]:
    """Create a person; owners only."""
    require_owner(request)
    user = people.create_user(actor_of(request), **data.model_dump())
    return 201, {"id": user.pk, "email": user.email, "role": data.role}


@router.put("/users/{int:user_id}/role", response={204: None})
def set_role(
    request: HttpRequest, user_id: int, data: schemas.RoleSet
) -> tuple[int, None]:
    """Give a person another role; owners only."""
    require_owner(request)
    user = get_object_or_404(User, pk=user_id)
    people.change_role(actor_of(request), user=user, role=data.role)
    return 204, None


@router.post("/users/{int:user_id}/{switch}", response={204: None})
def switch_user(
    request: HttpRequest, user_id: int, switch: Literal["enable", "disable"]
) -> tuple[int, None]:
    """Let a person in again, or keep them out; owners only."""
    require_owner(request)
    user = get_object_or_404(User, pk=user_id)
    people.set_active(actor_of(request), user=user, active=switch == "enable")
    return 204, None


@router.post("/tokens", response={201: dict[str, Any]})
def create_token(
    request: HttpRequest, data: schemas.TokenCreate
) -> tuple[int, dict[str, Any]]:
    """Create an API token of the caller; ``token`` is shown this once."""
    actor = actor_of(request)
    if actor.user is None:  # a token always has a person behind it
        raise HttpError(403, "Nobody is behind this token.")
    row, text = tokens.create_token(actor, user=actor.user, **data.model_dump())
    return 201, {"name": row.name, "token": text, "scopes": row.scopes}


@router.delete("/tokens/{int:token_id}", response={204: None})
def revoke_token(request: HttpRequest, token_id: int) -> tuple[int, None]:
    """Revoke an API token of the caller."""
    actor = actor_of(request)
    row = get_object_or_404(ApiToken, pk=token_id, user=actor.user, revoked_at=None)
    tokens.revoke_token(actor, row)
    return 204, None


def _key(name: str) -> ClientKey:
    return get_object_or_404(ClientKey, name=name, revoked_at=None)


def _terms(data: schemas.BudgetTermsIn) -> services.BudgetTerms:
    return services.BudgetTerms(
        amount_nano_usd=nano_from_usd(data.amount_usd),
        window=data.window,
        hard=data.hard,
        time_zone=data.time_zone,
    )
