"""Build the snapshot's records out of configuration rows.

A base holds everything, a delta what changed after a version. A row says by its
``changed_at_version`` that it changed, a tombstone that it is gone; a row that is
still there but may not serve any more becomes a tombstone here.

What hangs together is emitted together: a provider carries its credentials, a client
key the ids of the budgets above it, so a change below is a change of the record above.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from django.db.models import F, Q, QuerySet

from oauth.models import Account
from poolsite import version
from poolsite.models import Tombstone
from pricing.models import CustomPrice, Feed
from providers.models import Alias, ApiKey, Provider, ProviderModel
from providers.snapshot import records, types
from providers.snapshot.funds import reported_funds
from providers.snapshot.prices import PriceTable
from usage.models import Budget, ClientKey

Live = tuple[str, str, msgspec.Struct]
Change = tuple[str, str, msgspec.Struct | None]

_CHUNK: Final = 2000


class Built(msgspec.Struct, frozen=True):
    """Records and the version they reach."""

    header: types.Header
    records: Iterable[Any]


def build_base(now: datetime) -> Built:
    """Return everything, client keys streamed.

    Cost:  15 queries and one a 2,000 client keys; about 10 us a key.
    """
    reached = version.current()
    return Built(_header(reached, 0, now), _everything(now))


def build_delta(since: int, now: datetime) -> Built | None:
    """Return what changed after ``since``; None when only a base can say it.

    Cost:  17 queries at most, each over an index; independent of the number of keys.
    """
    reached = version.current()
    if reached < since:
        return None  # the database is an older copy: its history starts anew
    changed = _Changed(since, now)
    if changed.touches_every_key():
        return None
    return Built(_header(reached, since, now), changed.records())


def client_key_records(
    ids: Iterable[int], now: datetime
) -> dict[int, types.ClientKeyRecord]:
    """Return what workers know of a few client keys; one that may not be used is left out.

    Cost:  two queries.
    """
    rows = list(_client_key_rows(_usable_keys(now).filter(pk__in=list(ids))))
    scopes = _Scopes.for_keys(rows)
    found = {}
    for row in rows:
        first = next(_client_keys(row, scopes, now))[2]
        if first is not None:
            found[row["id"]] = first
    return found


def _header(reached: int, since: int, now: datetime) -> types.Header:
    return types.Header(
        schema=types.SCHEMA,
        version=reached,
        since=since,
        made_at_s=now.timestamp(),
        counts={},
    )


def _everything(now: datetime) -> Iterator[Live]:
    yield types.SETTINGS, "-", records.settings_record()
    rows = list(Provider.objects.filter(deleted_at=None, enabled=True))
    yield from _providers(rows, now)
    by_id = {row.pk: row for row in rows}
    models = ProviderModel.objects.filter(
        deleted_at=None, gone_at=None, enabled=True, provider__in=by_id
    )
    prices = PriceTable.load(now)
    for chunk in _chunks(models.order_by("pk").iterator(chunk_size=_CHUNK)):
        yield from _models(chunk, by_id, prices)
    yield from _aliases(Alias.objects.filter(deleted_at=None, enabled=True))
    budgets = list(Budget.objects.filter(enabled=True))
    for budget in budgets:
        yield types.BUDGET, str(budget.pk), records.budget_record(budget)
    scopes = _Scopes(budgets)
    for row in _client_key_rows(_usable_keys(now)):
        yield from (each for each in _client_keys(row, scopes, now) if each[2])


class _Changed:
    """What changed after a version."""

    def __init__(self, since: int, now: datetime) -> None:
        self._since = since
        self._now = now
        self._budgets = list(self._rows(Budget))
        self._gone = list(
            Tombstone.objects.filter(version__gt=since).values_list("kind", "key")
        )

    def touches_every_key(self) -> bool:
        """Tell whether a budget of the whole pool changed."""
        return any(budget.scope == Budget.Scope.POOL for budget in self._budgets)

    def records(self) -> list[Change]:
        """Return the changes; deletions first, so that what lives wins."""
        changes: dict[tuple[str, str], msgspec.Struct | None] = {}
        for kind, key in self._gone:
            changes[(kind, key)] = None
        for kind, key, record in (
            *self._provider_changes(),
            *self._alias_changes(),
            *self._key_changes(),
        ):
            if record is not None or (kind, key) not in changes:
                changes[(kind, key)] = record
        changes[(types.SETTINGS, "-")] = records.settings_record()
        return [(kind, key, record) for (kind, key), record in changes.items()]

    def _rows(self, model: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = model._default_manager.filter(
            changed_at_version__gt=self._since
        )
        return rows

    def _provider_changes(self) -> Iterator[Change]:
        slugs = set(self._rows(Account).values_list("provider_slug", flat=True))
        ids = set(self._rows(ApiKey).values_list("provider_id", flat=True))
        changed = list(
            Provider.objects.filter(
                Q(changed_at_version__gt=self._since)
                | Q(pk__in=ids)
                | Q(slug__in=slugs, deleted_at=None)
            )
        )
        live = [row for row in changed if row.enabled and row.deleted_at is None]
        gone = {row.pk for row in changed} - {row.pk for row in live}
        yield from ((types.PROVIDER, str(pk), None) for pk in gone)
        yield from _providers(live, self._now)
        # A provider that comes or goes takes its models along.
        touched = [row.pk for row in changed if row.changed_at_version > self._since]
        yield from self._model_changes(touched)

    def _model_changes(self, providers: Sequence[int]) -> Iterator[Change]:
        where = Q(changed_at_version__gt=self._since) | Q(provider__in=providers)
        if self._rows(CustomPrice).exists() or self._rows(Feed).exists():
            where = Q()  # any model may have another price now
        rows = ProviderModel.objects.filter(where).select_related("provider")
        live = []
        for row in rows.order_by("pk"):
            if _is_model_live(row):
                live.append(row)
            else:
                yield types.MODEL, str(row.pk), None
        if live:
            by_id = {row.provider_id: row.provider for row in live}
            yield from _models(live, by_id, PriceTable.load(self._now))

    def _alias_changes(self) -> Iterator[Change]:
        rows = self._rows(Alias)
        for name in rows.exclude(deleted_at=None, enabled=True).values_list(
            "name", flat=True
        ):
            yield types.ALIAS, name, None
        yield from _aliases(rows.filter(deleted_at=None, enabled=True))

    def _key_changes(self) -> Iterator[Change]:
        for budget in self._budgets:
            record = records.budget_record(budget) if budget.enabled else None
            yield types.BUDGET, str(budget.pk), record
        where = (
            Q(changed_at_version__gt=self._since)
            | Q(pk__in=[b.client_key_id for b in self._budgets if b.client_key_id])
            | Q(team__in=[b.team_id for b in self._budgets if b.team_id])
        )
        rows = list(_client_key_rows(ClientKey.objects.filter(where)))
        if not rows:
            return
        scopes = _Scopes.for_keys(rows)
        for row in rows:
            yield from _client_keys(row, scopes, self._now)


class _Scopes:
    """Which budgets apply to all requests of a key."""

    def __init__(self, budgets: Iterable[Budget]) -> None:
        self._pool: list[int] = []
        self._by_team: dict[int, list[int]] = {}
        self._by_key: dict[int, list[int]] = {}
        for budget in budgets:
            if budget.scope == Budget.Scope.POOL:
                self._pool.append(budget.pk)
            elif budget.scope == Budget.Scope.TEAM and budget.team_id:
                self._by_team.setdefault(budget.team_id, []).append(budget.pk)
            elif budget.scope == Budget.Scope.KEY and budget.client_key_id:
                self._by_key.setdefault(budget.client_key_id, []).append(budget.pk)

    @classmethod
    def for_keys(cls, rows: Sequence[dict[str, Any]]) -> _Scopes:
        """Load the budgets above these keys only; one query."""
        keys = [row["id"] for row in rows]
        teams = {row["team_id"] for row in rows if row["team_id"]}
        where = Q(scope=Budget.Scope.POOL) | Q(team__in=teams) | Q(client_key__in=keys)
        return cls(Budget.objects.filter(where, enabled=True))

    def of(self, key_id: int, team_id: int | None) -> tuple[int, ...]:
        """Return budget ids, narrowest scope first."""
        return (
            *self._by_key.get(key_id, ()),
            *self._by_team.get(team_id or 0, ()),
            *self._pool,
        )


def _providers(rows: Sequence[Provider], now: datetime) -> Iterator[Live]:
    """Emit providers with their usable credentials, best first."""
    if not rows:
        return
    keys: dict[int, list[ApiKey]] = {}
    usable = ApiKey.objects.filter(
        Q(retire_at=None) | Q(retire_at__gt=now),
        provider__in=rows,
        enabled=True,
        deleted_at=None,
        # A key that needs attention stays: the workers hold it back themselves and try
        # it once an hour, which is how it comes back without a person.
        state__in=(ApiKey.State.OK, ApiKey.State.NEEDS_ATTENTION),
    ).exclude(secret="")
    for key in usable.order_by("-priority", "pk"):
        keys.setdefault(key.provider_id, []).append(key)
    accounts: dict[str, list[Account]] = {}
    signed_in = Account.objects.filter(
        provider_slug__in=[row.slug for row in rows],
        enabled=True,
        deleted_at=None,
        state=Account.State.OK,
    ).exclude(access_token="")
    for account in signed_in.order_by("-priority", "pk"):
        accounts.setdefault(account.provider_slug, []).append(account)
    funds = reported_funds(rows)
    for row in rows:
        record = records.provider_record(
            row,
            keys.get(row.pk, []),
            accounts.get(row.slug, []),
            funds.get(row.pk, {}),
        )
        if record is not None:
            yield types.PROVIDER, str(row.pk), record


def _is_model_live(row: ProviderModel) -> bool:
    provider = row.provider
    return (
        row.enabled
        and row.deleted_at is None
        and row.gone_at is None
        and provider.enabled
        and provider.deleted_at is None
    )


def _models(
    rows: Sequence[ProviderModel], providers: dict[int, Provider], prices: PriceTable
) -> Iterator[Live]:
    """Emit models, each with the price in force and the version a bill names."""
    wanted = [(providers[row.provider_id], row.model_id) for row in rows]
    for row, price in zip(rows, prices.match(wanted), strict=True):
        yield types.MODEL, str(row.pk), records.model_record(row, price)


def _aliases(rows: QuerySet[Alias]) -> Iterator[Live]:
    for row in rows.prefetch_related("targets").order_by("pk"):
        targets = tuple(
            types.TargetRecord(target.model_id, target.provider_slug)
            for target in row.targets.all()
        )
        yield types.ALIAS, row.name, types.AliasRecord(row.name, targets)


def _usable_keys(now: datetime) -> QuerySet[ClientKey]:
    return ClientKey.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None
    ).filter(Q(owner=None) | Q(owner__is_active=True))


def _client_key_rows(keys: QuerySet[ClientKey]) -> Iterator[dict[str, Any]]:
    # Plain dictionaries: a hundred thousand model instances cost three times as much.
    rows = keys.order_by("pk").annotate(owner_active=F("owner__is_active"))
    values = rows.values(*records.KEY_COLUMNS, "owner_active")
    yield from values.iterator(chunk_size=_CHUNK)


def _client_keys(row: dict[str, Any], scopes: _Scopes, now: datetime) -> Iterator[Any]:
    """Emit a key under its public id, and under the old one while that may be used."""
    expires: datetime | None = row["expires_at"]
    is_usable = (
        row["revoked_at"] is None
        and (expires is None or expires > now)
        and row["owner_active"] is not False
    )
    record: types.ClientKeyRecord | None = None
    if is_usable:
        budget_ids = scopes.of(row["id"], row["team_id"])
        record = records.client_key_record(row, budget_ids)
    yield types.CLIENT_KEY, row["public_id"], record
    if not row["previous_public_id"]:
        return
    grace: datetime | None = row["grace_until"]
    old: types.ClientKeyRecord | None = None
    if record is not None and grace is not None and grace > now:
        ends = min(grace, expires) if expires else grace
        old = msgspec.structs.replace(
            record,
            public_id=row["previous_public_id"],
            digest=row["previous_digest"],
            pepper_id=row["previous_pepper_id"],
            expires_at_s=ends.timestamp(),
        )
    yield types.CLIENT_KEY, row["previous_public_id"], old


def _chunks(rows: Iterable[ProviderModel]) -> Iterator[list[ProviderModel]]:
    chunk: list[ProviderModel] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
