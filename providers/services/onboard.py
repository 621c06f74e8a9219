"""Add a provider the careful way: try it first, save it only when it works.

The console's form, the setup wizard and the admin API share this one path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.secret_type import Secret
from providers.discovery.check import CheckResult, candidate_of, check_candidate, failed
from providers.models import Provider, ProviderModel
from providers.services import credentials, models, providers
from providers.services.errors import ServiceError


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

    Fails:  never raises: what could not even be sent is a failed first stage.
    Cost:   one outbound request of at most 10 s.
    """
    try:
        draft = providers.draft(
            slug=new.slug, catalogue_id=new.catalogue_id, **new.values
        )
        secret = credentials.clean_secret(new.secrets[0]) if new.secrets else ""
    except ServiceError as exc:
        return failed("input", exc.message, "error")
    return check_candidate(candidate_of(draft), Secret(secret) if secret else None)


@one_change
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
        providers.record_test(provider, error=result.error, actor=actor)
    return provider
