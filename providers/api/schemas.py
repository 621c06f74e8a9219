"""What the admin API takes; every unknown field is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from ninja import Schema
from pydantic import AwareDatetime, ConfigDict, Field

_Usd = Annotated[Decimal, Field(ge=0, le=1_000_000_000)]


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
    weight: int | None = Field(None, ge=1, le=10_000)
    allow_private: bool | None = None
    tls_verify: bool | None = None
    headers: dict[str, str] | None = None
    timeouts: dict[str, float] | None = None
    model_access: Literal["all", "only", "none"] | None = None
    models_allowed: list[str] | None = None
    rpm: int | None = Field(None, ge=1, le=2**31 - 1)
    tpm: int | None = Field(None, ge=1, le=2**62)
    concurrency: int | None = Field(None, ge=1, le=2**31 - 1)
    billing_on_abort: Literal["cancel", "full"] | None = None
    description: str | None = Field(None, max_length=10_000)
    website: str | None = Field(None, max_length=300)
    key_url: str | None = Field(None, max_length=300)
    auth_scheme: str | None = Field(None, max_length=20)
    options: dict[str, str] | None = None
    other_formats: dict[str, str] | None = None


class ProviderCreate(ProviderValues):
    """A new provider, by hand or from the catalogue."""

    id: str = Field(max_length=64)
    catalogue_id: str = ""
    enabled: bool = True


class ModelChange(Strict):
    """What a person says of a model; what is absent stays as it is."""

    timeout_s: int | None = Field(None, ge=1, le=86_400)
    context_window: int | None = Field(None, ge=1, le=2**31 - 1)
    max_output_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    display_name: str = Field("", max_length=200)


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

    amount_usd: _Usd
    window: Literal["hour", "day", "week", "month", "total"] = "month"
    hard: bool = True
    time_zone: str = "UTC"
    warn_usd: _Usd | None = None


class SharedBudget(BudgetTermsIn):
    """A budget of any scope; without a scope a team's, without a team the pool's.

    Of agents and sessions, ``applies_to`` and ``value`` say which; a ``key`` narrows
    them to its own calls.
    """

    scope: Literal["", "pool", "team", "key", "agent", "session"] = ""
    team: str = ""
    key: str = ""
    applies_to: Literal["", "one", "agent", "provider"] = ""
    value: str = Field("", max_length=200)


class Increase(Strict):
    """More for a while; nothing more with 0."""

    extra_usd: _Usd
    until: AwareDatetime | None = None


class TeamCreate(Strict):
    """A new team."""

    id: str = Field(max_length=64)
    name: str = Field("", max_length=120)


class ClientKeyValues(Strict):
    """What a client key may do; what is absent stays as it is."""

    name: str | None = Field(None, max_length=120)
    team: str | None = None
    model_access: Literal["all", "only", "none"] | None = None
    models_allowed: list[str] | None = None
    provider_access: Literal["all", "only", "none"] | None = None
    providers_allowed: list[str] | None = None
    ip_allow: list[str] | None = None
    rpm: int | None = Field(None, ge=1, le=2**31 - 1)
    tpm: int | None = Field(None, ge=1, le=2**62)
    tpd: int | None = Field(None, ge=1, le=2**62)
    concurrency: int | None = Field(None, ge=1, le=2**31 - 1)
    window_requests: int | None = Field(None, ge=1, le=2**31 - 1)
    window_s: int | None = Field(None, ge=1, le=2**31 - 1)
    assumed_output_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    unpriced: Literal["allow", "default", "block"] | None = None
    tags: list[str] | None = None
    expires_at: AwareDatetime | None = None
    owner: str | None = Field(None, max_length=254)
    default_mode: str | None = None
    default_strategy: str | None = None
    overrides_allowed: list[str] | None = None
    log_level: Literal["metadata", "bodies"] | None = None


class ClientKeyCreate(ClientKeyValues):
    """A new client key."""

    name: str = Field(max_length=120)
    budget: BudgetTermsIn | None = None


class Rotate(Strict):
    """How long the old text of a key goes on working."""

    grace: Literal["now", "1h", "24h", "7d"] = "now"


class UserCreate(Strict):
    """A new person."""

    email: str = Field(max_length=254)
    password: str = Field(max_length=1000)
    role: Literal["owner", "operator", "viewer"]


class RoleSet(Strict):
    """A person's role."""

    role: Literal["owner", "operator", "viewer"]


class PasswordSet(Strict):
    """A person's new password."""

    password: str = Field(max_length=1000)


class Preferences(Strict):
    """How a person likes the console; what is absent stays as it is."""

    name: str = Field("", max_length=120)
    time_zone: str = "UTC"
    theme: Literal["system", "light", "dark"] = "system"
    density: Literal["compact", "comfortable"] = "compact"
    shortcuts: bool = True


class AccountCreate(Strict):
    """A static token at a provider; it is never returned."""

    provider: str
    token: str = Field(max_length=20_000)
    label: str = Field("", max_length=120)
    expires_at: AwareDatetime | None = None


class TokenReplace(Strict):
    """An account's new token."""

    token: str = Field(max_length=20_000)
    expires_at: AwareDatetime | None = None


class TokenCreate(Strict):
    """A new API token of the caller."""

    name: str = Field(max_length=120)
    scopes: list[Literal["admin", "read", "metrics"]]
    expires_at: AwareDatetime | None = None
