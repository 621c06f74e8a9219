"""People and API tokens."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Status

from poolsite import people, tokens
from poolsite.accounts import OWNER, role_of
from poolsite.models import ApiToken, User
from providers.api import schemas
from providers.api.auth import actor_of, require_owner, user_of

router = Router(tags=["access"])


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
) -> Status[dict[str, Any]]:
    """Create a person; owners only."""
    require_owner(request)
    user = people.create_user(actor_of(request), **data.model_dump())
    return Status(201, {"id": user.pk, "email": user.email, "role": data.role})


@router.put("/users/{int:user_id}/role", response={204: None})
def set_role(request: HttpRequest, user_id: int, data: schemas.RoleSet) -> Status[None]:
    """Give a person another role; owners only."""
    require_owner(request)
    user = get_object_or_404(User, pk=user_id)
    people.change_role(actor_of(request), user=user, role=data.role)
    return Status(204, None)


@router.put("/users/{int:user_id}/password", response={204: None})
def set_password(
    request: HttpRequest, user_id: int, data: schemas.PasswordSet
) -> Status[None]:
    """Give a person a new password; owners only."""
    require_owner(request)
    user = get_object_or_404(User, pk=user_id)
    people.set_password(actor_of(request), user=user, password=data.password)
    return Status(204, None)


@router.post("/users/{int:user_id}/{switch}", response={204: None})
def switch_user(
    request: HttpRequest, user_id: int, switch: Literal["enable", "disable"]
) -> Status[None]:
    """Let a person in again, or keep them out; owners only."""
    require_owner(request)
    user = get_object_or_404(User, pk=user_id)
    people.set_active(actor_of(request), user=user, active=switch == "enable")
    return Status(204, None)


@router.get("/me")
def me(request: HttpRequest) -> dict[str, Any]:
    """Return the person behind the token and how they like the console."""
    user = user_of(request)
    liked = {name: getattr(user, name) for name in sorted(people.PREFERENCES)}
    return {"email": user.email, "role": role_of(user), **liked}


@router.patch("/me")
def change_me(request: HttpRequest, data: schemas.Preferences) -> dict[str, Any]:
    """Change how the person behind the token likes the console."""
    values = data.model_dump(exclude_unset=True)
    people.change_preferences(actor_of(request), user=user_of(request), **values)
    return me(request)


@router.get("/tokens")
def list_tokens(request: HttpRequest) -> list[dict[str, Any]]:
    """List live API tokens: the caller's own, an owner sees all."""
    rows = ApiToken.objects.filter(revoked_at=None).select_related("user")
    user = user_of(request)
    if role_of(user) != OWNER:
        rows = rows.filter(user=user)
    return [
        {
            "id": row.pk,
            "name": row.name,
            "person": row.user.email,
            "scopes": row.scopes,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "last_used_at": row.last_used_at,
        }
        for row in rows.order_by("name", "pk")
    ]


@router.post("/tokens", response={201: dict[str, Any]})
def create_token(
    request: HttpRequest, data: schemas.TokenCreate
) -> Status[dict[str, Any]]:
    """Create an API token of the caller, an owner; ``token`` is shown this once."""
    require_owner(request)
    row, text = tokens.create_token(
        actor_of(request), user=user_of(request), **data.model_dump()
    )
    return Status(
        201, {"id": row.pk, "name": row.name, "token": text, "scopes": row.scopes}
    )


@router.delete("/tokens/{int:token_id}", response={204: None})
def revoke_token(request: HttpRequest, token_id: int) -> Status[None]:
    """Revoke an API token: one's own, an owner anybody's."""
    rows = ApiToken.objects.filter(revoked_at=None)
    user = user_of(request)
    if role_of(user) != OWNER:
        rows = rows.filter(user=user)
    row = get_object_or_404(rows, pk=token_id)
    tokens.revoke_token(actor_of(request), row)
    return Status(204, None)
