"""The catalogue, and trials of providers before they are saved."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router
from pydantic import Field

from poolsite.secret_type import Secret
from providers import selectors_catalogue as catalogue
from providers.api.auth import actor_of
from providers.api.schemas import Strict
from providers.discovery.asking import Candidate
from providers.discovery.check import CheckResult
from providers.discovery.stages import COST
from providers.discovery.verify import Verification
from providers.models import Provider
from providers.services import credentials, onboard, values, verification
from providers.services.errors import ServiceError

router = Router(tags=["catalogue"])


class Trial(Strict):
    """A provider to be tried before it is saved; the key is never returned."""

    id: str = Field("trial", max_length=64)
    catalogue_id: str = Field("", max_length=64)
    base_url: str | None = Field(None, max_length=300)
    api_format: str | None = Field(None, max_length=16)
    api_key: str = Field("", max_length=20_000)
    model: str = Field("", max_length=200)
    auth_scheme: str | None = Field(None, max_length=20)
    headers: dict[str, str] | None = None
    options: dict[str, str] | None = None
    allow_private: bool = False
    with_call: bool = False
    may_move: bool = False


class VerifyCandidate(Strict):
    """An address whose wire format is to be found out."""

    base_url: str = Field(max_length=300)
    api_key: str = Field("", max_length=20_000)
    model: str = Field("", max_length=200)
    allow_private: bool = False
    skip_tls_verify: bool = False


class VerifyStored(Strict):
    """How a stored provider is verified."""

    model: str = Field("", max_length=200)
    apply: bool = False


@router.get("/catalogue")
def list_catalogue(request: HttpRequest) -> list[dict[str, Any]]:
    """List providers that can be added; filter with q, kind, region, auth, can, free."""
    return catalogue.table(catalogue.tiles(catalogue.Wanted.of(request.GET)))


@router.post("/catalogue/test")
def test_new(request: HttpRequest, data: Trial) -> dict[str, Any]:
    """Try a provider that is not stored; with_call pays for three small calls."""
    given = data.model_dump(
        include={"base_url", "api_format", "auth_scheme", "headers", "options"},
        exclude_none=True,
    )
    new = onboard.NewProvider(
        slug=data.id,
        catalogue_id=data.catalogue_id,
        values={**given, **({"allow_private": True} if data.allow_private else {})},
        secrets=[data.api_key] if data.api_key else [],
        models=[data.model] if data.model else [],
        with_call=data.with_call,
        may_move=data.may_move,
    )
    return shown(onboard.try_new(new))


@router.post("/providers/verify")
def verify_new(request: HttpRequest, data: VerifyCandidate) -> dict[str, Any]:
    """Find out which wire formats answer at an address; nothing is stored."""
    if data.skip_tls_verify:
        raise ServiceError(
            "Certificates are always checked here.", field="skip_tls_verify"
        )
    values.check_base_url(data.base_url)
    candidate = Candidate(
        data.base_url.strip(), "openai", data.allow_private, needs_key=False
    )
    secret = Secret(credentials.clean_secret(data.api_key)) if data.api_key else None
    return found_words(
        verification.verify_candidate(candidate, secret, model=data.model)
    )


@router.post("/providers/{slug}/verify")
def verify_stored(
    request: HttpRequest, slug: str, data: VerifyStored
) -> dict[str, Any]:
    """Verify a stored provider; ``apply`` also stores what was found."""
    provider = _provider(slug)
    found = verification.verify_provider(provider, model=data.model)
    words = found_words(found)
    preview = verification.preview(provider, dataclasses.asdict(found))
    words["changes"] = [dataclasses.asdict(each) for each in preview]
    words["applied"] = False
    if data.apply:
        changed = verification.apply_verification(actor_of(request), provider)
        words["applied"] = bool(changed)
    return words


@router.post("/providers/{slug}/verify/apply")
def apply_verified(request: HttpRequest, slug: str) -> list[dict[str, Any]]:
    """Apply what the last verification found; returns what changed."""
    changes = verification.apply_verification(actor_of(request), _provider(slug))
    return [dataclasses.asdict(each) for each in changes]


def shown(result: CheckResult) -> dict[str, Any]:
    """Return a test's result as the API words it."""
    words = dataclasses.asdict(dataclasses.replace(result, listed=[]))
    del words["listed"]
    for row, stage in zip(words["stages"], result.stages, strict=True):
        row["outcome"] = stage.outcome
    return {**words, **result.verdict, "error": result.error, "cost": COST}


def found_words(found: Verification) -> dict[str, Any]:
    """Return a verification as the API words it."""
    return {"ok": found.ok, "refused": found.refused, **dataclasses.asdict(found)}


def _provider(slug: str) -> Provider:
    return get_object_or_404(Provider, slug=slug, deleted_at=None)
