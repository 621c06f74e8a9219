"""Say where a request would go and why, without sending anything.

It is what the simulator says, on a snapshot built this moment from the database and on
the cooldowns that were shipped: what is shown is what a live request meets. Of figures
that only live in the processes of the proxy (speed, calls under way, whose turn it is)
nothing is known here; where equals are compared by them, all count alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from poolsite.clock import Clock, SystemClock
from providers.proxy.explaining import Ask, Explanation
from providers.services import routing_lab as lab
from providers.snapshot.records import routing_record
from usage.models import ClientKey

_CLOCK: Final = SystemClock()


def explain(  # noqa: PLR0913 - what a request may vary in, by name
    model: str,
    *,
    key: ClientKey | None = None,
    needs: Sequence[str] = (),
    clock: Clock = _CLOCK,
    down: Iterable[str] = (),
    strategy: str | None = None,
    mode: str | None = None,
) -> Explanation:
    """Walk the plan of a request for a model.

    Shapes:  without a key, as one that may do everything; ``down`` names providers,
             ``provider/model`` or masks of credentials that count as cooling.
    Cost:    some 16 queries and 20 us a model.
    """
    # A command may follow a change that no process has been told of yet.
    lab.forget()
    ask = Ask(model=model, needs=tuple(needs), strategy=strategy, mode=mode)
    return lab.explain(routing_record(), ask, key=key, down=down, clock=clock)
