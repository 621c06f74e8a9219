"""What the data plane knows: immutable records, no Django, no secrets in clear.

The keeper writes one record per configuration row; data workers decode them into
these structs. A record is found under ``(kind, key)``; a deletion is a tombstone
with the same pair.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pricing.cost import PriceSpec

SCHEMA: Final = 1
"""Raised when a worker of the release before could not read the records any more."""

PROVIDER: Final = "provider"  # key: row id
MODEL: Final = "model"  # key: row id
ALIAS: Final = "alias"  # key: the alias name
CLIENT_KEY: Final = "client_key"  # key: the public id
BUDGET: Final = "budget"  # key: row id
SETTINGS: Final = "settings"  # key: "-"
KINDS: Final = (SETTINGS, PROVIDER, MODEL, ALIAS, BUDGET, CLIENT_KEY)


class Timeouts(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Deadlines towards one upstream.

    Units: seconds; defaults are the table of limits in docs/operations.md.
    """

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    idle_s: float = 90.0
    total_s: float = 1800.0


class CredentialRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One usable secret of a provider, as ciphertext.

    Shapes:  ``context`` and ``origin`` must equal what is inside the ciphertext;
             ``token_version`` is above 0 for OAuth accounts only. What failed before
             ``revived_at_s`` is forgotten: a person said that it works again.
    Units:   ``funds_nano_usd`` is the balance the vendor last reported, None = not
             reported or not limited.
    """

    id: int
    kind: str
    label: str
    mask: str
    token: str
    context: str
    origin: str
    priority: int = 50
    weight: int = 1
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    token_version: int = 0
    expires_at_s: float | None = None
    retire_at_s: float | None = None
    revived_at_s: float | None = None
    funds_nano_usd: int | None = None


class ProviderRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One enabled provider with its usable credentials, best first.

    Shapes:  ``base_url`` is the root the wire format appends its paths to;
             ``other_formats`` are further dialects it speaks, with the root of each
             where it is another (blank = the same). ``auth_scheme`` blank = the way of
             the format. ``options`` are what a cloud needs beside a key.
             ``allow_private`` permits exactly the base URL's own host and port.
    """

    id: int
    slug: str
    name: str
    format: str
    base_url: str
    origin: str
    location: str
    priority: int
    credentials: tuple[CredentialRecord, ...] = ()
    weight: int = 1
    headers: dict[str, str] = {}
    timeouts: Timeouts = Timeouts()
    allow_private: bool = False
    tls_verify: bool = True
    needs_key: bool = True
    billing_on_abort: str = "cancel"
    model_access: str = "all"
    models_allowed: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    catalogue: str = ""
    other_formats: dict[str, str] = {}
    auth_scheme: str = ""
    options: dict[str, str] = {}


class ModelRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One enabled upstream model with the price in force.

    Shapes:  ``price`` None = unpriced; ``price_source`` names where it came from.
             ``formats`` are the dialects this model is served in where they differ
             from its provider's; empty = all of them. ``lacks`` are capabilities it is
             known not to have; what is in neither list is unknown.
    Units:   ``timeout_s`` bounds one attempt at this model, None = its provider's.
    """

    id: int
    provider_id: int
    model_id: str
    price: PriceSpec | None = None
    price_version_id: int | None = None
    price_source: str = "unknown"
    max_output_tokens: int | None = None
    context_window: int | None = None
    capabilities: tuple[str, ...] = ()
    created_s: int = 0
    formats: tuple[str, ...] = ()
    timeout_s: float | None = None
    lacks: tuple[str, ...] = ()


class TargetRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One target of an alias; a blank provider means whoever serves the model."""

    model_id: str
    provider_slug: str = ""


class AliasRecord(msgspec.Struct, frozen=True, gc=False):
    """A name clients may ask for and its ordered targets."""

    name: str
    targets: tuple[TargetRecord, ...]


class BudgetRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Money a scope may spend in a window.

    Shapes:  ``scope`` pool | team | key | agent | session; ``window`` hour | day |
             week | month | total in ``time_zone``. ``applies_to`` and
             ``client_key_id`` narrow those of agents and sessions.
    Units:   nano-USD; ``warn_nano_usd`` warns and never refuses, None = does not.
    """

    id: int
    scope: str
    amount_nano_usd: int
    window: str
    hard: bool = True
    time_zone: str = "UTC"
    scope_value: str = ""
    extra_nano_usd: int = 0
    extra_until_s: float | None = None
    applies_to: str = ""
    client_key_id: int | None = None
    warn_nano_usd: int | None = None


class ClientKeyRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A client key and what it may do.

    Shapes:  ``digest`` is the keyed digest in hex under ``pepper_id``; a rotated key
             is listed under its old public id too, with ``expires_at_s`` set to the
             end of the grace. ``budget_ids`` holds every budget that applies to all
             of the key's requests (pool, team, key). ``keeps_bodies`` = prompts and
             answers are kept where the pool's own switch is on too.
    """

    id: int
    public_id: str
    digest: str
    pepper_id: str
    name: str
    team_id: int | None = None
    expires_at_s: float | None = None
    model_access: str = "all"
    models_allowed: tuple[str, ...] = ()
    provider_access: str = "all"
    providers_allowed: tuple[str, ...] = ()
    ip_allow: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    tpd: int | None = None
    concurrency: int | None = None
    window_requests: int | None = None
    window_s: int | None = None
    budget_ids: tuple[int, ...] = ()
    assumed_output_tokens: int | None = None
    unpriced: str = "allow"
    default_strategy: str = ""
    default_mode: str = ""
    overrides_allowed: tuple[str, ...] = ()
    keeps_bodies: bool = False


class RuleRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One fallback rule: when a trigger fires, ask somebody else or wait.

    Shapes:  ``trigger`` error | rate_limit | low_funds | cost_limit; ``action``
             switch_provider (``provider``, ``model`` optional) | switch_model
             (``model``) | wait_and_retry (``max_retries``, ``backoff`` exponential |
             constant). ``models`` are globs over the asked name, ``agents`` and
             ``keys`` globs over agent and key name; empty = every one. ``limit`` soft |
             hard names the session budget a cost_limit rule looks at.
    Units:   ``below_nano_usd`` is the balance under which low_funds fires.
    """

    trigger: str
    action: str
    name: str = ""
    enabled: bool = True
    provider: str = ""
    model: str = ""
    max_retries: int = 3
    backoff: str = "exponential"
    below_nano_usd: int | None = None
    limit: str = "soft"
    models: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


class RoutingRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How the pool chooses among those who could serve; one published revision.

    Shapes:  ``strategy`` priority | cost | latency | round_robin | weighted |
             least_busy | quota_aware; ``mode`` auto | cloud | local. ``groups`` come
             before any strategy, each entirely before the next: free | paid |
             official | other, or a glob over provider slugs; empty = one group.
             ``cooldown`` replaces single numbers of
             ``providers.routing.cooldowns.CooldownSettings``. ``rules`` are tried in
             their order.
    Units:   seconds; ``sticky_s`` 0 = a session is not kept at its provider;
             ``first_token_s`` 0 = only the provider's own deadlines count;
             ``queue_length`` calls may wait for ``queue_wait_s`` where a provider or
             credential is at its limit of parallel calls and nobody else is free.
             ``wait_cap_s`` is the longest a call waits for a hinted retry.
    """

    revision: int = 0
    strategy: str = "priority"
    mode: str = "auto"
    format_affinity: bool = True
    sticky_s: float = 1800.0
    groups: tuple[str, ...] = ()
    rules: tuple[RuleRecord, ...] = ()
    cooldown: dict[str, float] = {}
    first_token_s: float = 0.0
    queue_length: int = 100
    queue_wait_s: float = 5.0
    wait_cap_s: float = 10.0


class SettingsRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Pool-wide settings the data plane obeys; every number of a rule is one.

    Units: seconds, bytes, tokens as the names say.
    """

    keepalive_after_s: float = 8.0
    keepalive_every_s: float = 15.0
    body_limit_bytes: int = 40 * 1024 * 1024
    body_timeout_s: float = 60.0
    client_stall_s: float = 60.0
    answer_limit_bytes: int = 64 * 1024 * 1024
    event_limit_bytes: int = 4 * 1024 * 1024
    stream_buffer_bytes: int = 256 * 1024
    max_attempts: int = 8
    retry_budget_percent: int = 10
    max_in_flight: int = 500
    key_concurrency: int | None = None
    assumed_output_tokens: int = 4096
    reservation_input_percent: int = 130
    drain_s: float = 30.0
    connect_deadline_s: float = 30.0
    default_unpriced_price: PriceSpec | None = None
    default_model: str = ""
    default_provider: str = ""
    media_limit_bytes: int = 20 * 1024 * 1024
    media_timeout_s: float = 20.0
    media_plain_http: bool = False
    metrics_tokens: tuple[str, ...] = ()
    allow_private: tuple[str, ...] = ()
    cli_providers: bool = False
    keep_bodies: bool = False
    body_keep_bytes: int = 64 * 1024
    routing: RoutingRecord = RoutingRecord()


class Header(msgspec.Struct, frozen=True, gc=False):
    """First line of a snapshot or delta file.

    Shapes:  a base has ``since`` 0; a delta holds every change with
             ``since < version <= version``. ``counts`` names records by kind.
    """

    schema: int
    version: int
    since: int
    made_at_s: float
    counts: dict[str, int]
