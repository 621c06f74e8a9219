"""Add a provider the careful way: try it first, save it only when it works.

The console's form, the setup wizard and the admin API share this one path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from poolsite.actor import Actor
from poolsite.secret_type import Secret
from providers.catalogue import spec
from providers.discovery.check import Candidate, CheckResult, check_candidate
from providers.models import Provider, ProviderModel
from providers.services import credentials, models, providers


@dataclass
class NewProvider:
    """What a person entered.

    Shapes:  ``values`` are names of ``providers.EDITABLE``; ``secrets`` are our keys;
             ``models`` are ids to add whether or not the provider lists them.
    """

    slug: str
    catalogue_id: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)


def try_new(new: NewProvider) -> CheckResult:
    """Try what was entered, with the first key; nothing is stored.

    Cost: one outbound request of at most 10 s.
    """
    entry = spec.entries().get(new.catalogue_id)
    base_url = str(new.values.get("base_url") or (entry.base_url if entry else ""))
    location = str(new.values.get("location") or "cloud")
    candidate = Candidate(
        base_url=base_url.strip().rstrip("/"),
        api_format=str(new.values.get("api_format") or "openai"),
        allow_private=bool(new.values.get("allow_private")),
        needs_key=entry.needs_key if entry else location == "cloud",
    )
    secret = Secret(new.secrets[0]) if new.secrets else None
    return check_candidate(candidate, secret)


@transaction.atomic
def save_new(
    actor: Actor, new: NewProvider, result: CheckResult | None, *, enabled: bool = True
) -> Provider:
    """Store the provider, its keys, and the models named or found by the trial.

    Errors:  ServiceError naming the field; then nothing is stored.
    """
    provider = providers.create_provider(
        actor,
        slug=new.slug,
        catalogue_id=new.catalogue_id,
        enabled=enabled,
        **new.values,
    )
    for secret in new.secrets:
        credentials.add_key(actor, provider, secret)
    if new.models:
        models.add_models(actor, provider, new.models)
    if result is not None:
        if result.models:
            models.add_models(
                actor, provider, result.models, source=ProviderModel.Source.DISCOVERED
            )
        providers.record_test(provider, error=result.error)
    return provider
