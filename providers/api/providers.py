"""Providers, their keys and models, and aliases."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router, Status

from providers import selectors
from providers.api import schemas
from providers.api.auth import actor_of
from providers.api.catalogue import shown
from providers.models import Alias, ApiKey, Provider, ProviderModel
from providers.services import credentials, models, providers, trials

router = Router(tags=["providers"])


@router.get("/providers")
def list_providers(request: HttpRequest) -> list[dict[str, Any]]:
    """List providers, best first."""
    return selectors.provider_table()


@router.post("/providers", response={201: dict[str, Any]})
def create_provider(
    request: HttpRequest, data: schemas.ProviderCreate
) -> Status[dict[str, Any]]:
    """Create a provider."""
    values = data.model_dump(exclude_unset=True)
    slug = values.pop("id")
    provider = providers.create_provider(actor_of(request), slug=slug, **values)
    return Status(201, selectors.provider_facts(provider))


@router.get("/providers/{slug}")
def get_provider(request: HttpRequest, slug: str) -> dict[str, Any]:
    """Return one provider; secrets as masks."""
    return selectors.provider_facts(_provider(slug))


@router.patch("/providers/{slug}")
def update_provider(
    request: HttpRequest, slug: str, data: schemas.ProviderValues
) -> dict[str, Any]:
    """Change values of a provider."""
    values = data.model_dump(exclude_unset=True)
    provider = providers.update_provider(actor_of(request), _provider(slug), **values)
    return selectors.provider_facts(provider)


@router.delete("/providers/{slug}", response={204: None})
def remove_provider(request: HttpRequest, slug: str) -> Status[None]:
    """Remove a provider with its keys and models."""
    providers.remove_provider(actor_of(request), _provider(slug))
    return Status(204, None)


@router.post("/providers/{slug}/enable")
def enable_provider(request: HttpRequest, slug: str) -> dict[str, Any]:
    """Switch a provider on."""
    provider = _provider(slug)
    providers.set_enabled(actor_of(request), provider, enabled=True)
    return selectors.provider_facts(provider)


@router.post("/providers/{slug}/disable")
def disable_provider(request: HttpRequest, slug: str) -> dict[str, Any]:
    """Switch a provider off."""
    provider = _provider(slug)
    providers.set_enabled(actor_of(request), provider, enabled=False)
    return selectors.provider_facts(provider)


@router.post("/providers/{slug}/test")
def try_provider(
    request: HttpRequest, slug: str, with_call: bool = False, may_move: bool = False
) -> dict[str, Any]:
    """Try a provider now; ``with_call`` pays for three calls of about a token."""
    result = trials.try_stored(
        actor_of(request), _provider(slug), with_call=with_call, may_move=may_move
    )
    return shown(result)


@router.post("/providers/{slug}/keys", response={201: list[dict[str, Any]]})
def add_key(
    request: HttpRequest, slug: str, data: schemas.KeyAdd
) -> Status[list[dict[str, Any]]]:
    """Add an API key; returns the provider's keys, masked."""
    provider = _provider(slug)
    credentials.add_key(actor_of(request), provider, data.secret, label=data.label)
    return Status(201, selectors.key_table(provider))


@router.post("/providers/{slug}/keys/{int:key_id}/enable")
def enable_key(request: HttpRequest, slug: str, key_id: int) -> list[dict[str, Any]]:
    """Switch a key on."""
    key = _key(slug, key_id)
    credentials.set_key_enabled(actor_of(request), key, enabled=True)
    return selectors.key_table(key.provider)


@router.post("/providers/{slug}/keys/{int:key_id}/disable")
def disable_key(request: HttpRequest, slug: str, key_id: int) -> list[dict[str, Any]]:
    """Switch a key off."""
    key = _key(slug, key_id)
    credentials.set_key_enabled(actor_of(request), key, enabled=False)
    return selectors.key_table(key.provider)


@router.delete("/providers/{slug}/keys/{int:key_id}", response={204: None})
def remove_key(request: HttpRequest, slug: str, key_id: int) -> Status[None]:
    """Remove a key and its ciphertext."""
    credentials.remove_key(actor_of(request), _key(slug, key_id))
    return Status(204, None)


@router.post("/providers/{slug}/models")
def add_models(
    request: HttpRequest, slug: str, data: schemas.ModelsAdd
) -> list[dict[str, Any]]:
    """Add models by id; returns the provider's models."""
    provider = _provider(slug)
    models.add_models(actor_of(request), provider, data.models)
    return selectors.model_table(provider)


@router.get("/providers/{slug}/models")
def list_models(request: HttpRequest, slug: str) -> list[dict[str, Any]]:
    """List the provider's models."""
    return selectors.model_table(_provider(slug))


@router.post("/providers/{slug}/models/{path:model_id}/enable")
def enable_model(
    request: HttpRequest, slug: str, model_id: str
) -> list[dict[str, Any]]:
    """Offer a model to clients."""
    model = _model(slug, model_id)
    models.set_model_enabled(actor_of(request), model, enabled=True)
    return selectors.model_table(model.provider)


@router.post("/providers/{slug}/models/{path:model_id}/disable")
def disable_model(
    request: HttpRequest, slug: str, model_id: str
) -> list[dict[str, Any]]:
    """Stop offering a model."""
    model = _model(slug, model_id)
    models.set_model_enabled(actor_of(request), model, enabled=False)
    return selectors.model_table(model.provider)


@router.patch("/providers/{slug}/models/{path:model_id}")
def change_model(
    request: HttpRequest, slug: str, model_id: str, data: schemas.ModelChange
) -> list[dict[str, Any]]:
    """Say what is known of a model; null = unknown, or its provider's deadline."""
    model = _model(slug, model_id)
    values = data.model_dump(exclude_unset=True)
    models.set_model_facts(actor_of(request), model, **values)
    return selectors.model_table(model.provider)


@router.delete("/providers/{slug}/models/{path:model_id}", response={204: None})
def remove_model(request: HttpRequest, slug: str, model_id: str) -> Status[None]:
    """Take a model out of its provider."""
    models.remove_model(actor_of(request), _model(slug, model_id))
    return Status(204, None)


@router.get("/aliases")
def list_aliases(request: HttpRequest) -> list[dict[str, Any]]:
    """List aliases with their targets."""
    return selectors.alias_table()


@router.put("/aliases/{path:name}")
def set_alias(
    request: HttpRequest, name: str, data: schemas.AliasSet
) -> list[dict[str, Any]]:
    """Create an alias or replace its targets; returns all aliases."""
    models.set_alias(
        actor_of(request), name, data.targets, description=data.description
    )
    return selectors.alias_table()


@router.delete("/aliases/{path:name}", response={204: None})
def remove_alias(request: HttpRequest, name: str) -> Status[None]:
    """Take a name away."""
    alias = get_object_or_404(Alias, name=name, deleted_at=None)
    models.remove_alias(actor_of(request), alias)
    return Status(204, None)


def _provider(slug: str) -> Provider:
    return get_object_or_404(Provider, slug=slug, deleted_at=None)


def _key(slug: str, key_id: int) -> ApiKey:
    keys = ApiKey.objects.select_related("provider")
    return get_object_or_404(
        keys, pk=key_id, provider__slug=slug, deleted_at=None, provider__deleted_at=None
    )


def _model(slug: str, model_id: str) -> ProviderModel:
    rows = ProviderModel.objects.select_related("provider")
    return get_object_or_404(
        rows,
        model_id=model_id,
        provider__slug=slug,
        deleted_at=None,
        provider__deleted_at=None,
    )
