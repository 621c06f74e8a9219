"""Cooldowns as the data plane leaves them, for tests of what reads them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from providers.models import ApiKey, Fact, Provider, ProviderModel
from providers.routing.remembered import State, fact_of
from usage.journal import records


def cool(
    subject: str,
    reason: str = "rate_limit",
    *,
    for_s: float = 300.0,
    since_s: float = 60.0,
    **values: Any,
) -> Fact:
    """Leave a row as the keeper writes it."""
    now = timezone.now()
    at_ns = int(now.timestamp() * 1e9)
    values.setdefault("counts", {reason: 3})
    since_ns = at_ns - int(since_s * 1e9)
    state = State(reason, count=1, at_ns=at_ns, since_ns=since_ns, **values)
    fact = fact_of(subject, state, at_ns=at_ns, wait_s=for_s)
    return Fact.objects.create(
        kind=fact.kind,
        key=fact.key,
        payload=fact.payload,
        at=now,
        expires_at=now + timedelta(seconds=for_s),
    )


def failures(model: ProviderModel, counts: dict[str, int]) -> records.Fact:
    """Word failures of a model as a worker tells them."""
    at_ns = int((timezone.now().timestamp() - 10) * 1e9)
    payload = {
        "provider_id": model.provider_id,
        "model_id": model.pk,
        "counts": counts,
        "error": "503 overloaded",
    }
    return records.Fact(
        kind="failures", key=f"model:{model.pk}", at_ns=at_ns, payload=payload
    )


def key_subject(key: ApiKey) -> str:
    return f"credential:{key.provider_id}:api_key:{key.pk}"


def limit_subject(key: ApiKey, model: ProviderModel) -> str:
    return f"limit:{key.provider_id}:api_key:{key.pk}:{model.pk}"


def provider_subject(provider: Provider) -> str:
    return f"provider:{provider.pk}"
