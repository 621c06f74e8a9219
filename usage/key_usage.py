"""Read what one client key used: its models, sessions, errors, and its limits now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Count, F, Sum
from django.db.models.functions import Coalesce

from usage import rollups
from usage.models import ClientKey, Request, Rollup15, RollupCube
from usage.selectors import strings

_DAYS: Final = 30
_MOST_MODELS: Final = 12
_LOOKED_AT: Final = 1_000
_MOST_SHOWN: Final = 12
_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)


@dataclass
class ModelUse:
    """What a key used of one model at one provider in 30 days.

    Units:  nano-USD; tokens of both directions.
    """

    model: str
    provider: str
    requests: int
    tokens: int
    cost_nano_usd: int
    unpriced: int


@dataclass
class SessionUse:
    """One session among a key's latest requests."""

    name: str
    agent: str
    requests: int
    cost_nano_usd: int
    unpriced: int
    last_at: datetime


@dataclass
class ErrorUse:
    """One kind of error among a key's latest requests."""

    code: str
    status: int
    count: int
    last_at: datetime


@dataclass
class Lately:
    """What a key's latest requests were; ``looked_at`` of them, at most 1,000."""

    looked_at: int
    sessions: list[SessionUse]
    errors: list[ErrorUse]


@dataclass
class LimitNow:
    """One limit of a key with what the ledger knows of it.

    Shapes:  ``resets_at`` None where it drains by the moment.
    Units:   ``used`` and ``allowed`` in requests or tokens; None = not known here.
    """

    name: str
    allowed: int
    used: int | None
    resets_at: datetime | None = None

    @property
    def left(self) -> int | None:
        """What remains; never negative."""
        return None if self.used is None else max(0, self.allowed - self.used)


def models_of(key: ClientKey, *, now: datetime | None = None) -> list[ModelUse]:
    """Return a key's models of 30 days, dearest first; two queries."""
    now = now or datetime.now(UTC)
    since = (now.astimezone(UTC) - timedelta(days=_DAYS - 1)).date()
    rows = (
        # Zero stands for nobody: a request that was refused at the door.
        RollupCube.objects.filter(
            client_key_id=key.pk, bucket__gte=since, model_dim__gt=0
        )
        .values("model_dim", "provider_dim")
        .annotate(
            n=Sum("requests"),
            tokens=Sum(F("input_tokens") + F("output_tokens")),
            cost=Sum("cost_nano_usd"),
            missing=Sum("unpriced"),
        )
        .order_by("-cost", "-n", "model_dim")[:_MOST_MODELS]
    )
    found = list(rows)
    names = strings(row[column] for row in found for column in _NAMED)
    return [
        ModelUse(
            names.get(row["model_dim"], ""),
            names.get(row["provider_dim"], ""),
            row["n"] or 0,
            row["tokens"] or 0,
            row["cost"] or 0,
            row["missing"] or 0,
        )
        for row in found
    ]


_NAMED: Final = ("model_dim", "provider_dim")


def lately(key: ClientKey) -> Lately:
    """Return the sessions and errors among a key's latest requests; two queries."""
    rows: list[Any] = list(
        Request.objects.filter(client_key_id=key.pk)
        .order_by("-at", "-id")
        .values(
            "at", "status", "error_dim", "session_dim", "agent_dim",
            "cost_nano_usd", "unpriced",
        )[:_LOOKED_AT]
    )  # fmt: skip
    sessions: dict[int, dict[str, Any]] = {}
    errors: dict[tuple[int | None, int], list[Any]] = {}
    for row in rows:
        if row["session_dim"] is not None:
            _add(sessions.setdefault(row["session_dim"], {**_EMPTY, **row}), row)
        if row["status"] >= 400:
            place = (row["error_dim"], row["status"])
            errors.setdefault(place, [0, row["at"]])[0] += 1
    shown = list(sessions.items())[:_MOST_SHOWN]
    common = sorted(errors.items(), key=lambda each: -each[1][0])[:_MOST_SHOWN]
    names = strings(
        [
            *(number for number, _ in shown),
            *(row["agent_dim"] for _, row in shown),
            *(error for (error, _), _ in common),
        ]
    )
    return Lately(
        len(rows),
        [
            SessionUse(
                names.get(number, ""),
                names.get(row["agent_dim"], ""),
                row["requests"],
                row["cost"],
                row["missing"],
                row["at"],
            )
            for number, row in shown
        ],
        [
            ErrorUse(names.get(error or 0, ""), status, count, last_at)
            for (error, status), (count, last_at) in common
        ],
    )


_EMPTY: Final = {"requests": 0, "cost": 0, "missing": 0}


def _add(into: dict[str, Any], row: dict[str, Any]) -> None:
    into["requests"] += 1
    into["cost"] += row["cost_nano_usd"] or 0
    into["missing"] += row["unpriced"]


def limits_now(key: ClientKey, *, now: datetime | None = None) -> list[LimitNow]:
    """Return a key's limits with what was used lately, as the ledger knows it.

    What runs at this moment is known to the workers alone, so is not counted here.

    Cost:  at most three queries, none for limits the key does not have.
    """
    now = now or datetime.now(UTC)
    found: list[LimitNow] = []
    if key.rpm or key.tpm:
        requests, tokens = _since(key, now - _MINUTE)
        if key.rpm:
            found.append(LimitNow("requests a minute", key.rpm, requests))
        if key.tpm:
            found.append(LimitNow("tokens a minute", key.tpm, tokens))
    if key.tpd:
        found.append(LimitNow("tokens a day", key.tpd, _tokens_of_a_day(key, now)))
    if key.concurrency:
        found.append(LimitNow("requests at the same time", key.concurrency, None))
    if key.window_requests and key.window_s:
        number = int(now.timestamp()) // key.window_s
        start = datetime.fromtimestamp(number * key.window_s, UTC)
        used, _ = _since(key, start)
        ends = start + timedelta(seconds=key.window_s)
        name = f"requests in {key.window_s:,} s"
        found.append(LimitNow(name, key.window_requests, used, ends))
    return found


def _since(key: ClientKey, moment: datetime) -> tuple[int, int]:
    """Count requests that went upstream, and their tokens; refusals use up nothing."""
    sums = Request.objects.filter(
        client_key_id=key.pk, at__gte=moment, attempts__gt=0
    ).aggregate(
        n=Count("id"),
        tokens=Sum(Coalesce("input_tokens", 0) + Coalesce("output_tokens", 0)),
    )
    return sums["n"], sums["tokens"] or 0


def _tokens_of_a_day(key: ClientKey, now: datetime) -> int:
    since = rollups.quarter(now.astimezone(UTC) - _DAY)
    sums = Rollup15.objects.filter(
        kind=rollups.CLIENT_KEY, ref=key.pk, bucket__gte=since
    ).aggregate(tokens=Sum(F("input_tokens") + F("output_tokens")))
    return sums["tokens"] or 0
