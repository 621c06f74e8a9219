"""Read the request log: pages of rows, and one request with its attempts.

Lists walk the primary key and never count; names come from the dimension table in
one query for a page.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from poolsite.ids import uuid7_at
from pricing.cost import CostLine, cost_lines
from pricing.models import PriceVersion
from pricing.selectors import versions
from pricing.tokens import TokenUsage
from usage import corrections
from usage.log_names import Names, names_for
from usage.models import Attempt, ClientKey, Request
from usage.recalculation.selectors import Adjustment, adjusted_cost, adjustments_of
from usage.selectors import strings

_STATES: Final = {
    Request.Outcome.OK: "ok",
    Request.Outcome.REFUSED: "refused",
    Request.Outcome.FAILED: "failed",
    Request.Outcome.CLIENT_CLOSED: "cancelled",
    Request.Outcome.CUT: "cut",
    Request.Outcome.CRASHED: "failed",
}
_TOKENS: Final = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "audio_in_tokens",
    "image_in_tokens",
)
_OUT_TOKENS: Final = ("output_tokens", "audio_out_tokens", "image_out_tokens")
_USAGE: Final = tuple(
    name for name in TokenUsage.__struct_fields__ if name != "unit_kind"
)


@dataclass
class RequestRow:
    """One line of the log, in words.

    Units:  nano-USD, milliseconds, tokens; None = unknown.
    """

    row: Request
    state: str
    tries: list[tuple[str, str]] = field(default_factory=list)
    key: str = ""
    model: str = ""
    served: str = ""
    provider: str = ""
    error: str = ""
    agent: str = ""
    session: str = ""
    end_user: str = ""
    dialect: str = ""
    purpose: str = ""

    @property
    def id(self) -> UUID:
        """The request's id."""
        return self.row.id

    @property
    def at(self) -> datetime:
        """When it came in."""
        return self.row.at

    @property
    def cost_nano_usd(self) -> int | None:
        """What it cost, corrections included; None when no price is known."""
        return corrections.request_cost(self.row)

    @property
    def is_unpriced(self) -> bool:
        """Tell whether a part of it still has no price, corrections included."""
        standing = getattr(self.row, "adjustments_standing", None) or 0
        return self.row.unpriced and standing < max(self.row.attempts, 1)

    @property
    def latency_ms(self) -> int | None:
        """From the first byte in to the last byte out."""
        return self.row.latency_ms

    @property
    def tokens_in(self) -> int | None:
        """Everything the models read."""
        return _sum(self.row, _TOKENS)

    @property
    def tokens_out(self) -> int | None:
        """Everything the models wrote."""
        return _sum(self.row, _OUT_TOKENS)

    @property
    def is_renamed(self) -> bool:
        """Say whether another name was served than asked for."""
        return bool(self.served) and self.served != self.model


@dataclass
class AttemptRow:
    """One upstream call of a request, with its bill line by line."""

    row: Attempt
    provider: str
    credential: str
    model: str
    outcome: str
    error: str
    decision: str
    price_source: str
    version: PriceVersion | None = None
    lines: list[CostLine] = field(default_factory=list)
    adjustments: list[Adjustment] = field(default_factory=list)

    @property
    def cost_nano_usd(self) -> int | None:
        """What it costs, corrections included; None when no price was ever known."""
        return adjusted_cost(self.row.cost_nano_usd, self.adjustments)

    @property
    def state(self) -> str:
        """The console's pill for this attempt."""
        return (
            "ok"
            if self.outcome == "ok"
            else _ATTEMPT_STATES.get(self.outcome, "failed")
        )


_ATTEMPT_STATES: Final = {"client_closed": "cancelled", "cut": "cut"}


@dataclass
class RequestDetail:
    """A request with every attempt made for it."""

    request: RequestRow
    attempts: list[AttemptRow]

    @property
    def trail(self) -> dict[str, Any]:
        """What else routing noted: skipped candidates, strategy, losses."""
        found: Any = self.request.row.trail
        return found if isinstance(found, dict) else {}


def in_words(
    rows: Sequence[Request], names: Names | None = None, *, with_tries: bool = True
) -> list[RequestRow]:
    """Put names to the numbers of one page.

    Shapes:  each row carries its attempts as (state, status) in their order; without
             ``with_tries`` only where one attempt tells it all.
    Cost:    two queries for the names unless given, one for the attempts.
    """
    names = names or names_for(rows)
    tries = _tries(rows) if with_tries else {}
    return [_in_words(row, names, tries.get(row.id, [])) for row in rows]


def detail(request_id: UUID) -> RequestDetail | None:
    """Return one request with its attempts, None when it is not there; nine queries.

    The id carries its time, so one partition is read.
    """
    try:
        made = uuid7_at(request_id)
    except ValueError:
        return None
    near = (made - timedelta(hours=1), made + timedelta(hours=1))
    row = _corrected().filter(id=request_id, at__range=near).first()
    if row is None:
        return None
    attempts = list(
        Attempt.objects.filter(request_id=request_id, at=row.at).order_by("number")
    )
    names = strings(
        number
        for each in attempts
        for number in (
            each.provider_dim,
            each.credential_dim,
            each.model_dim,
            each.outcome_dim,
            each.error_dim,
            each.decision_dim,
            each.price_source_dim,
        )
    )
    prices = versions(
        {each.price_version_id for each in attempts if each.price_version_id}
    )
    adjusted = adjustments_of(request_id)
    return RequestDetail(
        request=in_words([row], with_tries=False)[0],
        attempts=[
            _attempt(each, names, prices, adjusted.get(each.id, []))
            for each in attempts
        ],
    )


def first_request() -> RequestRow | None:
    """Return the newest request that got an answer, for the wizard; three queries."""
    row = _corrected().filter(outcome=Request.Outcome.OK).order_by("-at").first()
    return None if row is None else in_words([row])[0]


def latest(count: int = 20, *, key: ClientKey | None = None) -> list[Request]:
    """Return the newest requests, of all or of one client key, still in numbers; one
    query.
    """  # noqa: D205 - one sentence
    rows = _corrected()
    if key is not None:
        rows = rows.filter(client_key_id=key.pk)
    return list(rows.order_by("-at", "-id")[:count])


def last_used(keys: Collection[int]) -> dict[int, datetime]:
    """Return when each of these client keys made its last request; one query.

    Cost:  one step down an index for each key.
    """
    newest = (
        Request.objects.filter(client_key_id=OuterRef("pk"))
        .order_by("-at")
        .values("at")[:1]
    )
    rows = ClientKey.objects.filter(pk__in=keys).annotate(used_at=Subquery(newest))
    return {pk: at for pk, at in rows.values_list("pk", "used_at") if at is not None}


def newest_id() -> UUID | None:
    """Return the id of the newest request: what a live table asks for; one query."""
    return Request.objects.order_by("-at", "-id").values_list("id", flat=True).first()


def _corrected() -> QuerySet[Request]:
    return corrections.with_corrections(Request.objects.all())


def _tries(rows: Sequence[Request]) -> dict[UUID, list[tuple[str, str]]]:
    """Return the outcome of each attempt of one page, with its status; one query.

    Only what had more than one attempt is asked for: one attempt ended as the request.
    """
    wanted = {row.id: row for row in rows if row.attempts > 1}
    found: dict[UUID, list[tuple[str, str]]] = {}
    if not wanted:
        return found
    times = [row.at for row in wanted.values()]
    attempts = (
        Attempt.objects.filter(
            request_id__in=list(wanted), at__range=(min(times), max(times))
        )
        .order_by("request_id", "number")
        .values_list("id", "request_id", "status")
    )
    for pk, request_id, status in attempts:
        served = wanted[request_id].serving_attempt == pk
        state = "ok" if served else "failed"
        found.setdefault(request_id, []).append((state, str(status or "no answer")))
    return found


def _in_words(row: Request, names: Names, tries: list[tuple[str, str]]) -> RequestRow:
    name = names.of
    state = _STATES.get(Request.Outcome(row.outcome), "failed")
    if row.attempts == 1:
        kind = {"ok": "ok", "cancelled": "cut", "cut": "cut"}.get(state, "failed")
        tries = [(kind, str(row.status))]
    if state == "ok" and row.attempts > 1:
        state = "fallback"
    return RequestRow(
        row=row,
        state=state,
        tries=tries,
        key=names.key(row.client_key_id),
        model=name(row.model_asked_dim),
        served=name(row.model_served_dim),
        provider=name(row.provider_dim),
        error=name(row.error_dim),
        agent=name(row.agent_dim),
        session=name(row.session_dim),
        end_user=name(row.end_user_dim),
        dialect=name(row.dialect_dim),
        purpose=name(row.purpose_dim),
    )


def _attempt(
    row: Attempt,
    names: dict[int, str],
    prices: dict[int, tuple[PriceVersion, Any]],
    adjustments: list[Adjustment],
) -> AttemptRow:
    def name(number: int | None) -> str:
        return names.get(number, "") if number is not None else ""

    version, spec = prices.get(row.price_version_id or 0, (None, None))
    usage = TokenUsage(
        **{column: getattr(row, column) for column in _USAGE},
        unit_kind=row.unit_kind or None,
    )
    credential = name(row.credential_dim)
    return AttemptRow(
        row=row,
        provider=name(row.provider_dim),
        credential=credential.split(":", 2)[-1],
        model=name(row.model_dim),
        outcome=name(row.outcome_dim),
        error=name(row.error_dim),
        decision=name(row.decision_dim),
        price_source=name(row.price_source_dim),
        version=version,
        lines=cost_lines(usage, spec, service_tier=row.flags or None),
        adjustments=adjustments,
    )


def _sum(row: Request, columns: Iterable[str]) -> int | None:
    values = [getattr(row, column) for column in columns]
    known = [value for value in values if value is not None]
    return sum(known) if known else None
