"""Join what was sent, what was truly served and what was recorded.

Prints the standard line of every load and crash test:

    sent / answered / refused / failed | served upstream / recorded / LOST / DOUBLE /
    cost diff nano-USD / estimate error | slots left / reservations left
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest

from tests.rig.driver import Outcome
from tests.rig.ledger import AttemptRow, Ledger
from tests.upstream.truth import Served

MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """What one model costs, worked out here a second time on purpose.

    Units: nano-USD per million tokens; per_request in nano-USD.
    """

    input: int = 0
    output: int = 0
    cache_read: int | None = None
    per_request: int = 0

    def cost(self, prompt: int, cached: int, completion: int) -> int:
        """Return nano-USD, rounded up once."""
        cache_read = self.input if self.cache_read is None else self.cache_read
        total = (prompt - cached) * self.input + cached * cache_read
        total += completion * self.output + self.per_request * MILLION
        return -(-total // MILLION)


@dataclass
class Report:
    """The figures of the standard line and the findings behind them.

    Shapes: lost, double and wrong hold one sentence each, for the failure message.
    """

    sent: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    served: int = 0
    recorded: int = 0
    estimated: int = 0
    unserved: int = 0
    cost_diff_nano_usd: int = 0
    estimated_nano_usd: int = 0
    estimated_truth_nano_usd: int = 0
    slots_left: int | None = None
    reservations_left: int | None = None
    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def estimate_error(self) -> float | None:
        """Return the error of all estimates together as a share of the truth."""
        if not self.estimated_truth_nano_usd:
            return None
        difference = self.estimated_nano_usd - self.estimated_truth_nano_usd
        return difference / self.estimated_truth_nano_usd

    @property
    def is_clean(self) -> bool:
        """Say whether nothing was lost, doubled or mispriced, and nothing is left."""
        error = self.estimate_error
        return not (
            self.lost
            or self.double
            or self.wrong
            or self.cost_diff_nano_usd
            or self.slots_left
            or self.reservations_left
            or (error is not None and abs(error) > 0.15)
        )

    def line(self) -> str:
        """Return the standard line."""
        error = self.estimate_error
        band = "none" if error is None else f"{error:+.1%} over {self.estimated}"
        return (
            f"sent {self.sent} / answered {self.answered} / refused {self.refused}"
            f" / failed {self.failed} | served upstream {self.served}"
            f" / recorded {self.recorded} / LOST {len(self.lost)}"
            f" / DOUBLE {len(self.double)}"
            f" / cost diff {self.cost_diff_nano_usd} nano-USD"
            f" / estimate error {band} | slots left {_known(self.slots_left)}"
            f" / reservations left {_known(self.reservations_left)}"
        )

    def findings(self, most: int = 10) -> str:
        """Return the line and the first findings, for an assertion message."""
        found = [*self.lost, *self.double, *self.wrong]
        return "\n".join([self.line(), *found[:most]])


def check_ledger(
    *,
    outcomes: Iterable[Outcome],
    truth: Iterable[Served],
    ledger: Ledger,
    prices: dict[str, Price],
) -> Report:
    """Compare the three records of one run.

    Shapes: prices by the model name the upstream saw; the upstream must have seen the
            product's own request id, the driver must have got it back.
    """
    report = Report()
    outcomes = list(outcomes)
    _count_outcomes(report, outcomes)
    served = _by_request(call for call in truth if call.path != "/v1/models")
    rows: dict[str, list[AttemptRow]] = defaultdict(list)
    for attempt in ledger.attempts:
        rows[attempt.request_id].append(attempt)
    report.served = sum(map(len, served.values()))
    report.recorded = len(ledger.attempts)
    _check_answers(report, outcomes, ledger)
    _check_rows(report, ledger)
    complete = {o.request_id for o in outcomes if o.kind == "answered"}
    for request_id in served.keys() | rows.keys():
        calls, recorded = served.get(request_id, []), rows.get(request_id, [])
        for call, row in _pair(calls, recorded):
            _check_pair(report, call, row, prices, request_id in complete)
    return report


def _count_outcomes(report: Report, outcomes: list[Outcome]) -> None:
    report.sent = len(outcomes)
    kinds = [outcome.kind for outcome in outcomes]
    report.answered = kinds.count("answered")
    report.refused = kinds.count("refused")
    report.failed = kinds.count("failed")


def _by_request(truth: Iterable[Served]) -> dict[str, list[Served]]:
    served: dict[str, list[Served]] = defaultdict(list)
    for call in truth:
        served[call.request_id].append(call)
    return served


def _check_answers(report: Report, outcomes: list[Outcome], ledger: Ledger) -> None:
    known = {row.id for row in ledger.requests}
    for outcome in outcomes:
        if outcome.kind == "answered" and outcome.request_id not in known:
            report.lost.append(f"answered request {outcome.request_id} has no row")


def _check_rows(report: Report, ledger: Ledger) -> None:
    seen: set[tuple[str, int]] = set()
    for row in ledger.attempts:
        place = (row.request_id, row.number)
        if place in seen:
            report.double.append(f"attempt {row.number} of {row.request_id} is twice")
        seen.add(place)
    ids = [row.id for row in ledger.requests]
    if len(set(ids)) != len(ids):
        report.double.append("a request id is in the ledger twice")
    for request_id in {row.request_id for row in ledger.attempts} - set(ids):
        report.wrong.append(f"attempt without its request {request_id}")


def _pair(
    calls: list[Served], rows: list[AttemptRow]
) -> list[tuple[Served | None, AttemptRow | None]]:
    """Pair by order; an attempt that never connected has no call to pair with."""
    unconnected: list[tuple[Served | None, AttemptRow | None]] = []
    kept = list(rows)
    for row in reversed(rows):
        if len(kept) <= len(calls):
            break
        if row.status is None and not row.output_tokens:
            kept.remove(row)
            unconnected.append((None, row))
    return [*zip_longest(calls, kept), *unconnected]


def _check_pair(
    report: Report,
    call: Served | None,
    row: AttemptRow | None,
    prices: dict[str, Price],
    answered: bool,
) -> None:
    if row is None:
        if call is not None:
            report.lost.append(
                f"call {call.attempt} of {call.request_id} ({call.ended}) has no row"
            )
        return
    if call is None:
        report.unserved += 1
        if row.cost_nano_usd and not row.estimated:
            report.double.append(f"{row.request_id} #{row.number} was never served")
        return
    true = _true_cost(call, prices)
    cost = row.cost_nano_usd or 0
    if not row.estimated:
        if cost != true:
            report.cost_diff_nano_usd += abs(cost - true)
            report.wrong.append(f"{row.request_id}: {cost} recorded, {true} true")
        return
    report.estimated += 1
    report.estimated_nano_usd += cost
    report.estimated_truth_nano_usd += true
    if call.usage_sent and answered:
        report.wrong.append(f"{row.request_id}: usage arrived, cost was estimated")
    if row.reservation_nano_usd is not None and cost > row.reservation_nano_usd:
        report.wrong.append(f"{row.request_id}: estimate above its reservation")


def _true_cost(call: Served, prices: dict[str, Price]) -> int:
    if not call.billable or call.model not in prices:
        return 0
    price = prices[call.model]
    return price.cost(call.prompt_tokens, call.cached_tokens, call.completion_tokens)


def _known(number: int | None) -> str:
    return "unknown" if number is None else str(number)
