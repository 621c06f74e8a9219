"""What the admin API takes; every unknown field is refused."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from ninja import Schema
from pydantic import ConfigDict, Field


class Strict(Schema):
    """Refuse fields that are not known: a typing error must not be silent."""

    model_config = ConfigDict(extra="forbid")


class ProviderValues(Strict):
    """Values of a provider; what is absent stays as it is."""

    name: str | None = Field(None, max_length=120)
    base_url: str | None = Field(None, max_length=300)
    api_format: str | None = None
    location: Literal["cloud", "local"] | None = None
    priority: int | None = Field(None, ge=0, le=100)
    weight: int | None = Field(None, ge=0, le=10_000)
    allow_private: bool | None = None
    tls_verify: bool | None = None
    headers: dict[str, str] | None = None
    model_access: Literal["all", "only", "none"] | None = None
    models_allowed: list[str] | None = None
    rpm: int | None = Field(None, ge=1, le=2**31 - 1)
    tpm: int | None = Field(None, ge=1, le=2**62)
    concurrency: int | None = Field(None, ge=1, le=2**31 - 1)


class ProviderCreate(ProviderValues):
    """A new provider, by hand or from the catalogue."""

    id: str = Field(max_length=64)
    catalogue_id: str = ""
    enabled: bool = True


class KeyAdd(Strict):
    """One of our secrets; it is never returned."""

    secret: str = Field(max_length=4000)
    label: str = Field("", max_length=120)


class ModelsAdd(Strict):
    """Ids of models to add."""

    models: list[str] = Field(min_length=1, max_length=5000)


class AliasSet(Strict):
    """Ordered targets of an alias."""

    targets: list[str] = Field(min_length=1, max_length=50)
    description: str = Field("", max_length=200)


class BudgetTermsIn(Strict):
    """A key's own budget in USD."""

    amount_usd: Decimal = Field(ge=0, le=1_000_000_000)
    window: Literal["hour", "day", "week", "month", "total"] = "month"
    hard: bool = True
    time_zone: str = "UTC"


class ClientKeyValues(Strict):
    """What a client key may do; what is absent stays as it is."""

    model_access: Literal["all", "only", "none"] | None = None
    models_allowed: list[str] | None = None
    rpm: int | None = Field(None, ge=1, le=2**31 - 1)
    tpm: int | None = Field(None, ge=1, le=2**62)
    concurrency: int | None = Field(None, ge=1, le=2**31 - 1)
    expires_at: datetime | None = None


class ClientKeyCreate(ClientKeyValues):
    """A new client key."""

    name: str = Field(max_length=120)
    budget: BudgetTermsIn | None = None


class Rotate(Strict):
    """How long the old text of a key goes on working."""

    grace: Literal["now", "1h", "24h", "7d"] = "now"


class PriceSet(Strict):
    """A price in USD per million tokens, and per request."""

    provider: str = ""
    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cache_read: Decimal | None = Field(None, ge=0)
    cache_write: Decimal | None = Field(None, ge=0)
    cache_write_1h: Decimal | None = Field(None, ge=0)
    per_request: Decimal | None = Field(None, ge=0)


class UserCreate(Strict):
    """A new person."""

    email: str = Field(max_length=254)
    password: str = Field(max_length=1000)
    role: Literal["owner", "operator", "viewer"]


class RoleSet(Strict):
    """A person's role."""

    role: Literal["owner", "operator", "viewer"]


class TokenCreate(Strict):
    """A new API token of the caller."""

    name: str = Field(max_length=120)
    scopes: list[Literal["admin", "read", "metrics"]]
    expires_at: datetime | None = None
