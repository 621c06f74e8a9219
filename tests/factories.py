"""Make rows through the product's own services, with as little said as a test needs.

provider = make_provider("acme", models=["gpt-5-mini"], keys=["sk-acme-1"])
key, text = make_client_key("ci", budget_usd="10")
ship(call(key, try_at(provider, "gpt-5-mini")))
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from poolsite.accounts import set_role
from poolsite.actor import SYSTEM
from poolsite.clock import ManualClock
from poolsite.ids import uuid7
from poolsite.models import User
from poolsite.money import nano_from_usd
from pricing.cost import cost_nano_usd
from pricing.tokens import TokenUsage
from providers.models import ApiKey, Provider, ProviderModel
from providers.services import credentials, models, providers
from providers.snapshot.prices import PriceTable
from usage import services
from usage.journal.reader import Position
from usage.journal.records import (
    AttemptSettle,
    PriceRef,
    RequestHead,
    RequestSettle,
    Settle,
    Target,
)
from usage.ledger import Batch, Ledger
from usage.models import ClientKey

PASSWORD = "correct horse battery"
SOME_USAGE = TokenUsage(input_tokens=1200, output_tokens=340)
NO_PRICE = PriceRef()
_numbers = itertools.count(1)
_ns = 1_000_000


def make_user(email: str, role: str, **values: Any) -> User:
    """Create a person who may sign in with ``PASSWORD``."""
    user = User.objects.create_user(email, PASSWORD, **values)
    set_role(user, role)
    return user


def make_provider(
    slug: str = "acme",
    *,
    models: Sequence[str] = (),
    keys: Sequence[str] = (),
    tested: bool = True,
    **values: Any,
) -> Provider:
    """Create a provider with models and API keys; tested with success by default."""
    values.setdefault("base_url", f"https://api.{slug}.example.com/v1")
    provider = providers.create_provider(SYSTEM, slug=slug, **values)
    for secret in keys:
        make_api_key(provider, secret)
    if models:
        make_models(provider, *models)
    if tested:
        providers.record_test(provider, error="")
    return provider


def make_api_key(
    provider: Provider, secret: str = "", *, label: str = "", **values: Any
) -> ApiKey:
    """Store one of our keys at a provider; ``values`` are columns set afterwards."""
    secret = secret or f"sk-{provider.slug}-secret-{next(_numbers):06}"
    key = credentials.add_key(SYSTEM, provider, secret, label=label)
    if values:
        ApiKey.objects.filter(pk=key.pk).update(**values)
        key.refresh_from_db()
    return key


def make_models(provider: Provider, *ids: str) -> list[ProviderModel]:
    """Add models to a provider."""
    return models.add_models(SYSTEM, provider, ids)


def make_client_key(
    name: str = "my-laptop",
    *,
    budget_usd: str = "",
    window: str = "month",
    hard: bool = True,
    **values: Any,
) -> tuple[ClientKey, str]:
    """Create a client key and return it with its text."""
    key, text = services.create_key(SYSTEM, name, **values)
    if budget_usd:
        terms = services.BudgetTerms(
            amount_nano_usd=nano_from_usd(Decimal(budget_usd)), window=window, hard=hard
        )
        services.set_key_budget(SYSTEM, key, terms)
    return key, text


# The ledger


@dataclass(frozen=True)
class Try:
    """One upstream call to be recorded.

    Units: milliseconds; ``start_ms`` counts from the request.
    """

    provider: Provider
    model: str
    api_key: ApiKey | None = None
    outcome: str = "ok"
    decision: str = "served"
    status: int | None = 200
    error: str = ""
    reason: str = ""
    usage: TokenUsage | None = SOME_USAGE
    price: PriceRef = NO_PRICE
    start_ms: int = 4
    latency_ms: int | None = 900
    ttft_ms: int | None = 240
    estimated: bool = False

    @property
    def cost_nano(self) -> int | None:
        """What it costs by the product's own arithmetic."""
        if self.usage is None:
            return None
        return cost_nano_usd(self.usage, self.price.spec)


def try_at(provider: Provider, model: str, **values: Any) -> Try:
    """Describe a call with the price in force and the provider's first key."""
    [found] = PriceTable.load().match([(provider, model)])
    price = PriceRef(spec=found.spec, version_id=found.version_id, source=found.source)
    key = provider.api_keys.filter(deleted_at=None).order_by("id").first()
    return Try(provider, model, **{"api_key": key, "price": price, **values})


def failed_at(provider: Provider, model: str, **values: Any) -> Try:
    """Describe a call that failed and led to the next candidate."""
    plain = {
        "outcome": "upstream_error",
        "decision": "next_provider",
        "status": 503,
        "error": "server_error",
        "reason": "The service is temporarily overloaded.",
        "usage": None,
        "latency_ms": 310,
        "ttft_ms": None,
    }
    return try_at(provider, model, **{**plain, **values})


def call(
    key: ClientKey | None,
    *tries: Try,
    at: datetime | None = None,
    asked: str = "",
    status: int | None = None,
    outcome: str = "",
    error_code: str = "",
    **head: Any,
) -> list[Settle]:
    """Describe one client call; without tries it was refused at the door."""
    at = at or datetime.now(UTC) - timedelta(seconds=5)
    clock = ManualClock(at)
    at_ns = clock.time_ns()
    served = next((t for t in tries if t.decision == "served"), None)
    outcome = outcome or ("ok" if served else "failed" if tries else "refused")
    if status is None:
        status = {"ok": 200, "failed": 502, "refused": 429}.get(outcome, 200)
    top = RequestHead(
        request_id=str(uuid7(clock)),
        at_ns=at_ns,
        client_key_id=key.pk if key else None,
        asked_model=asked or (tries[-1].model if tries else "gpt-5-mini"),
        **{"dialect": "openai", "purpose": "client", "agent": "SDK", **head},
    )
    settles = [
        Settle(head=top, attempt=_attempt(top, number, each, clock))
        for number, each in enumerate(tries, start=1)
    ]
    ids = [settle.attempt.attempt_id for settle in settles if settle.attempt]
    costs = [each.cost_nano for each in tries if each.cost_nano is not None]
    end = max((t.start_ms + (t.latency_ms or 0) for t in tries), default=2)
    request = RequestSettle(
        status=status,
        outcome=outcome,
        error_code=error_code,
        serving_attempt_id=ids[tries.index(served)] if served else None,
        attempts=len(tries),
        usage=served.usage if served else None,
        cost_nano=sum(costs) if costs else None,
        unpriced=any(t.usage is not None and t.cost_nano is None for t in tries),
        estimated=any(t.estimated for t in tries),
        latency_ms=end + 3,
        ttft_ms=served.start_ms + served.ttft_ms
        if served and served.ttft_ms is not None
        else None,
    )
    return [*settles, Settle(head=top, request=request)]


def _attempt(
    head: RequestHead, number: int, each: Try, clock: ManualClock
) -> AttemptSettle:
    key = each.api_key
    return AttemptSettle(
        request_id=head.request_id,
        attempt_id=str(uuid7(clock)),
        attempt_no=number,
        started_at_ns=head.at_ns + each.start_ms * _ns,
        target=Target(
            provider_id=each.provider.pk,
            provider_slug=each.provider.slug,
            credential_kind="api_key" if key else "",
            credential_id=key.pk if key else None,
            credential_mask=key.mask if key else "",
            upstream_model=each.model,
        ),
        outcome=each.outcome,
        decision=each.decision,
        status=each.status,
        error_class=each.error,
        reason=each.reason,
        usage=each.usage,
        estimated=each.estimated,
        cost_nano=each.cost_nano,
        price=each.price,
        latency_ms=each.latency_ms,
        ttft_ms=each.ttft_ms,
    )


def ship(*calls: list[Settle]) -> list[str]:
    """Write calls into the ledger and its rollups; return the request ids."""
    settles = [settle for each in calls for settle in each]
    now = datetime.now(UTC)
    batch = Batch(
        directory=f"test-{next(_numbers)}",
        start=Position(),
        end=Position(offset=len(settles)),
        settles=settles,
        records=len(settles),
    )
    Ledger().write(batch, now=now)
    return [each[-1].head.request_id for each in calls]


def make_request(key: ClientKey | None = None, *tries: Try, **values: Any) -> str:
    """Record one request and return its id."""
    return ship(call(key, *tries, **values))[0]


def make_requests(
    provider: Provider, model: str, count: int, *, key: ClientKey | None = None
) -> list[str]:
    """Record plain successful requests, one a second, the newest just now."""
    each = try_at(provider, model)
    now = datetime.now(UTC) - timedelta(seconds=5)
    calls = [
        call(
            key,
            replace(each, latency_ms=400 + 7 * number % 900),
            at=now - timedelta(seconds=number),
        )
        for number in range(count)
    ]
    return ship(*calls)
