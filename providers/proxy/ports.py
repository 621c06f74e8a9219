"""What the rooms need from outside, as protocols; ``runtime`` connects the real parts.

Limits are ``usage.limits.contract``'s own protocol, which both stores share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field

from poolsite.clock import Clock
from poolsite.crypto import KeyRing, Peppers
from poolsite.destinations import Destination, HostPort
from poolsite.egress import Timeouts
from providers.proxy.bodies import BodyPort
from providers.proxy.exchange import Outcome
from providers.routing.order import Lineup, Order
from providers.routing.pulse import Pulse
from providers.routing.types import Offer, Route
from providers.snapshot.types import (
    BudgetRecord,
    ClientKeyRecord,
    CredentialRecord,
    ProviderRecord,
    SettingsRecord,
)
from usage.journal.records import Fact, Record
from usage.limits.contract import LimitStore

__all__ = [
    "Answer",
    "Cooling",
    "Health",
    "JournalPort",
    "LimitStore",
    "Metrics",
    "Parts",
    "Resolution",
    "SnapshotPort",
    "SnapshotSource",
    "TokenSource",
    "Trust",
    "UpstreamClient",
    "VisibleModel",
]


class Resolution(Protocol):
    """What a requested name leads to.

    Shapes:  ``is_known`` False = nobody ever served that name: 404, and ``near``
             holds similar names. Known without being served = 503: nothing usable now.
             ``candidates`` are in the order they shall be tried.
    """

    @property
    def is_known(self) -> bool:
        """Tell whether the name exists, usable or not."""

    @property
    def is_served(self) -> bool:
        """Tell whether anybody could serve it, whatever the mode."""

    @property
    def candidates(self) -> Lineup:
        """Every route as the pool orders them, before access and health are judged."""

    @property
    def near(self) -> Sequence[str]:
        """Names much like the one asked for, at most five."""

    def some(self, most: int) -> Sequence[Offer]:
        """Return at most so many of its offers, whoever could serve or not."""

    def order(self, strategy: str, mode: str) -> Order:
        """Return the routes in the order of a strategy, for one mode."""

    def take_turn(self) -> int:
        """Count one request of this name; equals take turns by this number."""

    def peek_turn(self) -> int:
        """Return the number the next request will get."""


class VisibleModel(Protocol):
    """One name a client may ask for."""

    @property
    def name(self) -> str:
        """The name itself: a model id or an alias."""

    @property
    def owned_by(self) -> str:
        """The slug of the provider that would serve it first."""

    @property
    def created_s(self) -> int:
        """Unix seconds, 0 when unknown."""


class SnapshotPort(Protocol):
    """The live snapshot: an immutable view, or one that only ever moves forward.

    Cost:  every member answers in microseconds from memory; no I/O.
    """

    @property
    def version(self) -> int:
        """The configuration version it shows."""

    @property
    def made_at(self) -> float:
        """When the keeper last confirmed it, in Unix seconds."""

    @property
    def settings(self) -> SettingsRecord:
        """The pool-wide settings."""

    @property
    def personal_budgets(self) -> Mapping[int, BudgetRecord]:
        """Budgets of agents and sessions, which no key names; mostly none."""

    def client_key(self, public_id: str) -> ClientKeyRecord | None:
        """Find a client key by its public id."""

    def provider(self, provider_id: int) -> ProviderRecord | None:
        """Find a provider by row id."""

    def budget(self, budget_id: int) -> BudgetRecord | None:
        """Find a budget by row id."""

    def resolve(self, name: str) -> Resolution:
        """Resolve a requested name as design 4 orders it."""

    def only(self, model_row: int) -> Resolution:
        """Return the ways to one model at its own provider, none when it is off."""

    def visible_models(self, key: ClientKeyRecord) -> Sequence[VisibleModel]:
        """List the names a key may ask for, sorted."""


class SnapshotSource(Protocol):
    """Give the snapshot in force; a request takes it once and keeps it."""

    def __call__(self) -> SnapshotPort | None:
        """Return it, None before the first one was loaded."""


class Cooling(Protocol):
    """Why a candidate is to be left alone, and for how long."""

    @property
    def reason(self) -> str:
        """The kind of failure that started it (see ``Health.report``)."""

    @property
    def left_s(self) -> float | None:
        """Seconds until it may be tried again; None = not by waiting."""

    @property
    def subject(self) -> str:
        """What is left alone, as ``providers.routing.subjects`` names it."""


class Health(Protocol):
    """Live cooldowns; in process here, shared once there is Redis."""

    def cooling(self, route: Route) -> Cooling | None:
        """Return what keeps a candidate from being tried now, None when nothing."""

    def begin(self, route: Route) -> None:
        """Say that a candidate is about to be tried: after a cooldown, by one only."""

    def release(self, route: Route) -> None:
        """Say that a candidate is not tried after all."""

    def least_bad(self, routes: Iterable[Route]) -> Route | None:
        """Choose whom to try although all of them are cooling."""

    @property
    def is_calm(self) -> bool:
        """Tell whether nothing is held against anybody: nothing heard would matter."""

    def belongs(self, route: Route, account: str) -> None:
        """Learn from an answer which vendor account a secret is of; blank = untold."""

    def hear(
        self, route: Route, *, left: float | None, reset_s: float | None = None
    ) -> None:
        """Learn what a good answer said of the quota: room again ends a cooldown.

        Shapes:  ``left`` is the fraction that remains.
        """

    def report(
        self,
        route: Route,
        kind: str,
        *,
        retry_after_s: float | None = None,
        reason: str = "",
    ) -> Sequence[Fact]:
        """Learn how an attempt ended and return the facts to journal.

        Shapes:  ``kind`` is one of

            ====================  =====================================================
            ``ok``                served, or the upstream answered sensibly
            ``auth``              401/403 without a quota or policy word
            ``quota``             402, or an account out of credit or quota
            ``rate_limit``        429
            ``unavailable``       502, 503, 504, 529
            ``server_error``      another 5xx, a nonsense or broken answer
            ``timeout``           no head, no event or no next event in time
            ``connect``           no connection: refused, DNS, TLS, unreachable
            ``model``             this upstream does not serve this model
            ``unreadable``        our stored secret cannot be decrypted
            ====================  =====================================================

            An error about the request itself is never reported: it says nothing
            about the upstream's health.
        """


class JournalPort(Protocol):
    """The append-only journal of this process (``usage.journal.writer.Journal``)."""

    def append(self, record: Record) -> None:
        """Write one record; it survives the death of the process."""

    async def append_durable(self, record: Record) -> None:
        """Write one record and wait as long as the durability setting promises."""

    def can_admit(self) -> bool:
        """Tell whether there is room to record the end of new work."""


class TokenSource(Protocol):
    """Refreshes OAuth access tokens, served by the keeper."""

    async def refresh(
        self, account_id: int, *, seen_version: int
    ) -> CredentialRecord | None:
        """Return a token newer than the one seen, None when there is none to be had.

        Fails:   never raises; gives up after 10 s.
        """


class Answer(Protocol):
    """An opened upstream answer, as the HTTP client gives it."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names in any case."""

    @property
    def content(self) -> Any:
        """The body's stream reader."""

    def close(self) -> None:
        """Close the connection at once."""

    def release(self) -> Any:
        """Give the connection back to the pool when it was read to its end."""


class UpstreamClient(Protocol):
    """Opens outbound calls (``poolsite.egress.UpstreamClient``)."""

    def prepare(
        self, url: str, allowed: frozenset[HostPort] = frozenset(), *, pool: str = ""
    ) -> Destination:
        """Judge a destination."""

    async def send(
        self,
        destination: Destination,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        secret_origin: str | None,
        timeouts: Timeouts = ...,
        method: str = "POST",
    ) -> Answer:
        """Send one request, return the answer with its head read."""


class Metrics(Protocol):
    """Counters of the data plane; every call is a few hundred nanoseconds."""

    def request_finished(
        self, outcome: Outcome, *, dialect: str, is_stream: bool, seconds: float
    ) -> None:
        """Count one authenticated client call."""

    def attempt_finished(
        self, provider_slug: str, outcome: str, *, seconds: float
    ) -> None:
        """Count one upstream call."""

    def stranger_refused(self, reason: str) -> None:
        """Count a caller without a usable key."""

    def usage_flagged(self, provider_slug: str, flags: Iterable[str]) -> None:
        """Count what a vendor's usage report got wrong."""

    def request_unpriced(self, provider_slug: str, model: str) -> None:
        """Count a call whose cost is not known in full."""


class Trust(Struct, frozen=True):
    """What keys are checked with.

    Shapes:  ``internal_root`` signs the product's own 60 s tokens.
    """

    peppers: Peppers
    internal_root: str
    clock: Clock


class Parts(Struct, frozen=True, kw_only=True):
    """Everything the pipeline is made of; ``runtime`` builds it once a process.

    Shapes:  ``limits_are_shared`` = the store lives elsewhere, so settling it may wait.
             ``fetcher`` opens what clients name by URL; it may reach less than
             ``client``, which stands in for it where there is none. ``bodies`` None =
             prompts and answers are not kept, whoever asks for it. ``pulse`` is what
             dynamic strategies compare routes by.
    Units:   ``snapshot_max_age_s`` 0 = a snapshot of any age serves.
    """

    snapshot: SnapshotSource
    limits: LimitStore
    journal: JournalPort
    tokens: TokenSource
    health: Health
    client: UpstreamClient
    ring: KeyRing
    trust: Trust
    metrics: Metrics
    clock: Clock
    limits_are_shared: bool = False
    snapshot_max_age_s: float = 0.0
    fetcher: UpstreamClient | None = None
    bodies: BodyPort | None = None
    pulse: Pulse = field(default_factory=Pulse)
