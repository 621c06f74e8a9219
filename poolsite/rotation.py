"""Prove the keys at boot, and exchange them while everything keeps running.

A rotation has four steps, each repeatable, because any of them may be cut off:

1. A new key joins the configured keys and only opens (``adopt``).
2. Every live node reports it and, later, has loaded the newest snapshot (``Node``).
3. ``rotate`` makes it the sealing key and retires the one before (it still opens),
   re-encrypts in batches and proves that no row is left with another key.
4. ``finish`` proves it again, waits for the snapshots and names the keys to remove.

Batches compare and swap on the old ciphertext: a concurrent write wins and is already
sealed with the new key, and two rotations at once only waste work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db import connection, models, transaction
from django.db.models import Count

from poolsite import alerts, secrets, version
from poolsite.clock import Clock, SystemClock
from poolsite.crypto import UnreadableKind, UnreadableSecretError
from poolsite.models import Canary, EncryptionKey, Node, Versioned

BATCH_ROWS: Final = 500
NODE_ALIVE_S: Final = 60
_CLOCK: Final = SystemClock()
_CANARY_TEXT: Final = "provider-pool"
_Progress = Callable[[str, int], None]


class RotationError(Exception):
    """The rotation cannot go on yet; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What the boot check found.

    Shapes: reason is empty when the keys are the right ones; unreadable counts, per
        field, the rows whose key is not loaded.
    """

    reason: str
    unreadable: Mapping[str, int]

    @property
    def is_ok(self) -> bool:
        """Whether the process may serve."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class RotationReport:
    """What one run did.

    Shapes: rotated and left are per field; unreadable holds rows that no loaded key
        opens or that are bound elsewhere, per field and kind.
    """

    kid: str
    rotated: Mapping[str, int]
    left: Mapping[str, int]
    unreadable: Mapping[str, Mapping[str, int]]


def check_keys(*, clock: Clock = _CLOCK) -> KeyCheck:
    """Prove at boot that the configured keys are this database's keys.

    The canary is made at the first boot. Where ciphertexts exist but no canary does,
    it is made only if every one of them has a loaded key.

    Fails: closed: a canary that does not open means the data plane refuses to start
        and the console starts locked.
    Cost:  two queries a field.
    """
    unreadable = _rows_without_key()
    canary = Canary.objects.order_by("id").first()
    if canary is None:
        if unreadable:
            return KeyCheck(_LOST_KEYS, unreadable)
        _make_canary(clock)
        return KeyCheck("", unreadable)
    try:
        text = secrets.open_for(canary, "token").reveal()
    except UnreadableSecretError as exc:
        reason = _LOST_KEYS if exc.kind is UnreadableKind.UNKNOWN_KEY else _BAD_CANARY
        return KeyCheck(reason, unreadable)
    return KeyCheck("" if text == _CANARY_TEXT else _BAD_CANARY, unreadable)


_LOST_KEYS: Final = (
    "The encryption key of this database is not loaded; restore it in the key file or "
    "in POOL_ENCRYPTION_KEYS."
)
_BAD_CANARY: Final = (
    "The proof of the encryption key is damaged; restore the database from a backup."
)


def survey(*, clock: Clock = _CLOCK) -> dict[str, dict[str, int]]:
    """Open every stored secret; mark and alert what cannot be opened, and heal.

    Shapes: per field name, per kind, how many rows.
    Cost:   reads every encrypted row, 500 at a time; about 20 us a row.
    """
    found: dict[str, dict[str, int]] = {}
    for field in secrets.fields():
        broken: list[models.Model] = []
        for row in field.rows().order_by("pk").iterator(chunk_size=BATCH_ROWS):
            try:
                secrets.open_field(field, row)
            except UnreadableSecretError as exc:
                broken.append(row)
                kinds = found.setdefault(field.name, {})
                kinds[exc.kind.value] = kinds.get(exc.kind.value, 0) + 1
        if field.state_column:
            _mark(field, broken)
        _alert(field, len(broken), clock)
    return found


def counts_by_kid() -> dict[str, dict[str, int]]:
    """Count the stored secrets per field and key id; one query a field."""
    return {
        field.name: dict(
            field.rows()
            .order_by()
            .values_list(field.kid_column)
            .annotate(rows=Count("pk"))
        )
        for field in secrets.fields()
    }


def adopt(*, clock: Clock = _CLOCK) -> str | None:
    """Note the configured key that is to become the sealing one, None if there is none.

    It is the newest (first) configured key this database does not know yet.
    """
    known = set(EncryptionKey.objects.values_list("kid", flat=True))
    fresh = [kid for kid in secrets.ring().kids if kid not in known]
    if not known or not fresh:
        waiting = EncryptionKey.objects.filter(
            state=EncryptionKey.State.DECRYPT_ONLY, kid__in=secrets.ring().kids
        )
        return waiting.values_list("kid", flat=True).last()
    EncryptionKey.objects.create(
        kid=fresh[0], state=EncryptionKey.State.DECRYPT_ONLY, changed_at=clock.now()
    )
    return fresh[0]


def nodes_without(kid: str, *, clock: Clock = _CLOCK) -> list[str]:
    """Name the live nodes that do not hold a key yet; one query."""
    return [node.name for node in _live_nodes(clock) if kid not in node.key_ids]


def rotate(
    *, clock: Clock = _CLOCK, progress: _Progress | None = None
) -> RotationReport:
    """Move to the adopted key and re-encrypt everything with it.

    Run again after a cut: what is done stays done, and without an adopted key the
    rows of an interrupted run are completed.

    Errors: RotationError naming the nodes that do not hold the new key yet.
    Cost:   transactions of at most 500 rows.
    """
    kid = adopt(clock=clock)
    if kid is not None:
        behind = nodes_without(kid, clock=clock)
        if behind:
            raise RotationError(
                f"Waiting for {', '.join(behind)} to load key {kid}; restart them or "
                "wait for their heartbeat."
            )
        _make_primary(kid, clock)
    target = secrets.primary_kid()
    rotated: dict[str, int] = {}
    for field in secrets.fields():
        rotated[field.name] = 0
        for count in _reencrypt(field, target):
            rotated[field.name] += count
            if progress is not None:
                progress(field.name, rotated[field.name])
    return RotationReport(target, rotated, _left(target), survey(clock=clock))


def finish(*, clock: Clock = _CLOCK) -> list[str]:
    """Prove that the retired keys are not needed; return the configured ones' ids.

    The caller takes them out of the key file (``poolsite.key_files``), or tells the
    operator to take them out of the environment.

    Errors: RotationError while a readable row still has an old key, or while a live
        node serves a snapshot from before the last re-encryption.
    """
    target = secrets.primary_kid()
    left = {name: rows for name, rows in _left(target).items() if rows}
    if left:
        parts = ", ".join(f"{rows} in {name}" for name, rows in left.items())
        raise RotationError(f"Values with an old key are left: {parts}. Rotate again.")
    needed = version.current()
    behind = [
        node.name
        for node in _live_nodes(clock)
        if node.planes != "console" and node.snapshot_version < needed
    ]
    if behind:
        raise RotationError(
            f"Waiting for {', '.join(behind)} to load the newest snapshot; try again in "
            "a few seconds."
        )
    retired = set(
        EncryptionKey.objects.filter(state=EncryptionKey.State.RETIRED).values_list(
            "kid", flat=True
        )
    )
    return [kid for kid in secrets.ring().kids if kid in retired]


def _rows_without_key() -> dict[str, int]:
    loaded = secrets.ring().kids
    counts = {
        name: sum(rows for kid, rows in kids.items() if kid not in loaded)
        for name, kids in counts_by_kid().items()
    }
    return {name: rows for name, rows in counts.items() if rows}


@transaction.atomic
def _make_canary(clock: Clock) -> None:
    now = clock.now()
    canary = Canary(created_at=now)
    secrets.seal_for(canary, "token", _CANARY_TEXT)
    canary.save(force_insert=True)
    # Other keys configured from the start are old ones, not candidates.
    for kid in secrets.ring().kids:
        is_primary = kid == canary.kid
        state = (
            EncryptionKey.State.PRIMARY if is_primary else EncryptionKey.State.RETIRED
        )
        EncryptionKey.objects.get_or_create(
            kid=kid, defaults={"state": state, "changed_at": now}
        )


@transaction.atomic
def _make_primary(kid: str, clock: Clock) -> None:
    now = clock.now()
    EncryptionKey.objects.filter(state=EncryptionKey.State.PRIMARY).exclude(
        kid=kid
    ).update(state=EncryptionKey.State.RETIRED, changed_at=now)
    EncryptionKey.objects.filter(kid=kid).update(
        state=EncryptionKey.State.PRIMARY, changed_at=now
    )


def _live_nodes(clock: Clock) -> list[Node]:
    since = clock.now() - timedelta(seconds=NODE_ALIVE_S)
    return list(Node.objects.filter(heartbeat_at__gte=since).order_by("name"))


def _left(target: str) -> dict[str, int]:
    """Count what a loaded key opens but the target did not seal."""
    loaded = set(secrets.ring().kids) - {target}
    return {
        field.name: field.rows().filter(**{f"{field.kid_column}__in": loaded}).count()
        for field in secrets.fields()
    }


def _reencrypt(field: secrets.EncryptedField, target: str) -> Iterator[int]:
    """Re-encrypt one column batch by batch; yield how many rows each batch moved."""
    loaded = set(secrets.ring().kids) - {target}
    after: Any = None
    while True:
        rows = field.rows().filter(**{f"{field.kid_column}__in": loaded})
        if after is not None:
            rows = rows.filter(pk__gt=after)
        batch = list(rows.order_by("pk")[:BATCH_ROWS])
        if not batch:
            return
        after = batch[-1].pk
        yield _swap(field, batch, target)


def _swap(field: secrets.EncryptedField, batch: list[models.Model], target: str) -> int:
    """Write one batch, each row only if its ciphertext is still the one we read."""
    changes: list[tuple[str, str, Any, str]] = []
    moved: list[models.Model] = []
    for row in batch:
        try:
            secret = secrets.open_field(field, row)
        except UnreadableSecretError:
            continue  # stays as it is; the survey counts and marks it
        sealed = secrets.ring().seal(
            secret.reveal(),
            context=field.context(row),
            origin=field.origin(row),
            kid=target,
        )
        changes.append((sealed.token, sealed.kid, row.pk, getattr(row, field.column)))
        moved.append(row)
    if not changes:
        return 0
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.executemany(_swap_statement(field), changes)
            count = int(cursor.rowcount)
        # The data plane opens what its snapshot holds, so it must get the new text.
        if issubclass(field.model, Versioned):
            version.bump(*[row for row in moved if isinstance(row, Versioned)])
    return count


def _swap_statement(field: secrets.EncryptedField) -> str:
    quote = connection.ops.quote_name
    columns = {f.name: quote(str(f.column)) for f in field.model._meta.concrete_fields}
    token, kid = columns[field.column], columns[field.kid_column]
    table, key = quote(field.model._meta.db_table), columns[field.model._meta.pk.name]
    return (
        f"UPDATE {table} SET {token} = %s, {kid} = %s "  # noqa: S608 - names of models
        f"WHERE {key} = %s AND {token} = %s"
    )


def _alert(field: secrets.EncryptedField, broken: int, clock: Clock) -> None:
    if not broken:
        alerts.resolve("secret_unreadable", field.name, clock=clock)
        return
    alerts.raise_alert(
        "secret_unreadable",
        field.name,
        severity="error",
        title=f"{broken} stored secrets cannot be read",
        detail=f"{field.name}: enter them again, or restore the key that made them.",
        clock=clock,
    )


@transaction.atomic
def _mark(field: secrets.EncryptedField, broken: list[models.Model]) -> None:
    """Set the state of rows that stopped or started to be readable."""
    state = str(field.state_column)
    model = field.model
    keys = [row.pk for row in broken]
    known = set(
        model._default_manager.filter(**{state: "unreadable"}).values_list(
            "pk", flat=True
        )
    )
    healed = known - set(keys)
    fresh = set(keys) - known
    for pks, value in ((fresh, "unreadable"), (healed, "ok")):
        for start in range(0, len(pks), BATCH_ROWS):
            part = sorted(pks)[start : start + BATCH_ROWS]
            model._default_manager.filter(pk__in=part).update(**{state: value})
            if issubclass(model, Versioned):
                version.bump(*model._default_manager.filter(pk__in=part))
