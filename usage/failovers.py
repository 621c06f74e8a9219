"""Tell the channels when requests go on from one provider to another.

The shipper hands over what it ships, in the transaction that ships it. One line for each
pair of providers, with a count. A pair whose halves are shipped by two keepers is not
noticed: this is news, the ledger is the record.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Final

from poolsite.clock import Clock
from poolsite.delivery import events, outbox
from usage.journal.records import Record, Settle

_OPEN: Final = 10_000


class Failovers:
    """Remembers where each open request was tried last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Forgotten when the request ends; bounded for those that never do.
        self._last: OrderedDict[str, str] = OrderedDict()

    def keep(self, found: Sequence[Record]) -> None:
        """Count the pairs of one batch and tell the channels that want them.

        Cost:    nothing in the database for a batch without a failover.
        """
        pairs: Counter[tuple[str, str]] = Counter()
        for record in found:
            if isinstance(record, Settle):
                self._count(record, pairs)
        for (before, after), count in sorted(pairs.items()):
            outbox.emit(
                events.FAILOVER,
                {"from": before, "to": after},
                fold=f"failover:{before}>{after}"[:200],
                count=count,
                clock=self._clock,
            )

    def _count(self, settle: Settle, pairs: Counter[tuple[str, str]]) -> None:
        request, attempt = settle.head.request_id, settle.attempt
        if attempt is not None:
            before, here = self._last.get(request, ""), attempt.target.provider_slug
            if before and before != here:
                pairs[before, here] += 1
            self._last[request] = here
        if settle.request is not None:
            self._last.pop(request, None)
        while len(self._last) > _OPEN:
            self._last.popitem(last=False)
