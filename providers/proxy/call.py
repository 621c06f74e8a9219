"""Hold the state of one client call on its way through the rooms.

It belongs to the pipeline: rooms get the parts they need and never the whole.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from providers.formats.base import ChatRequest, UpstreamRequest
from providers.formats.taps import ClientStream
from providers.proxy.billing import Attempt, bill_attempt
from providers.proxy.bodies import copy_for
from providers.proxy.exchange import (
    Admission,
    Caller,
    Candidate,
    Failure,
    Headers,
    Inbound,
)
from providers.proxy.exhausted import Failed
from providers.proxy.plan import Plan
from providers.proxy.ports import SnapshotPort
from providers.proxy.record import Recorder
from providers.proxy.reply import Reply
from providers.proxy.scopes import Limited
from providers.proxy.watch import Watch
from providers.routing.rules import Met
from providers.routing.types import Mark, Route
from providers.snapshot.types import SettingsRecord
from usage.limits.contract import Ticket

_MOST_NOTES: Final = 20
_LONGEST_NOTE: Final = 200
_NOTHING: Final[frozenset[Any]] = frozenset()


class Again(Struct, frozen=True):
    """A rule that repeats one candidate, and how often it has."""

    met: Met
    candidate: Candidate
    tries: int = 0


class Call:
    """One authenticated client call.

    Shapes:  ``seat`` is the place the candidate's own limits gave it, ``before_seat``
             the attempt that was over by then. ``later`` are the
             plans a rule led away from, ``set_aside`` a candidate it passed over, which
             is asked when the rule's own targets fail; ``again`` whom a rule repeats.
             ``ahead`` was planned already; ``waited_for`` are routes a wait was spent on.
             ``is_useful`` = the client holds a part of an answer: no more failover.
             ``sent`` is what the attempt asked with; ``taught`` what its candidate was
             just found to refuse.
             ``tail`` are relayed bytes that wait to leave together with an error.
             ``is_detached`` = a drain of its own ends the call and keeps its books.
    Units:   ``waited_s`` is the time spent on upstreams, not on us.
    """

    __slots__ = (
        "admission",
        "again",
        "ahead",
        "attempt",
        "before_seat",
        "caller",
        "decision",
        "error_headers",
        "failed",
        "failure",
        "felt",
        "has_alternatives",
        "inbound",
        "is_detached",
        "is_useful",
        "later",
        "limit_headers",
        "limited",
        "pause_s",
        "plan",
        "recorder",
        "refreshed",
        "reply",
        "request",
        "request_id",
        "rules_used",
        "seat",
        "sent",
        "set_aside",
        "settings",
        "snapshot",
        "stream",
        "tail",
        "taught",
        "waited_for",
        "waited_s",
        "watch",
        "writes_seen",
    )

    def __init__(
        self,
        inbound: Inbound,
        caller: Caller,
        *,
        snapshot: SnapshotPort,
        watch: Watch,
        reply: Reply,
        recorder: Recorder,
    ) -> None:
        self.inbound = inbound
        self.request_id = inbound.request_id.encode("ascii")
        self.caller = caller
        self.snapshot = snapshot
        self.settings: SettingsRecord = snapshot.settings
        self.watch = watch
        self.reply = reply
        reply.copy = copy_for(caller.key, self.settings)
        self.recorder = recorder
        self.plan: Plan | None = None
        self.limited: Limited | None = None
        self.admission: Admission | None = None
        self.attempt: Attempt | None = None
        self.failure: Failure | None = None
        self.failed: list[Failed] = []
        self.error_headers: Headers = []
        self.limit_headers: Headers = []
        self.refreshed: frozenset[int] = _NOTHING
        self.sent: UpstreamRequest | None = None
        self.taught: frozenset[str] = _NOTHING
        self.decision = ""
        self.seat: Ticket | None = None
        self.felt: Route | None = None
        self.ahead: Candidate | None = None
        self.set_aside: Candidate | None = None
        self.later: list[Plan] = []
        self.again: Again | None = None
        self.rules_used: frozenset[int] = _NOTHING
        self.waited_for: frozenset[Mark] = _NOTHING
        self.pause_s = 0.0
        self.stream: ClientStream | None = None
        self.tail = b""
        self.waited_s = 0.0
        self.writes_seen = 0
        self.has_alternatives = False
        self.is_useful = False
        self.is_detached = False

        # Set once the body was read; who needs it comes later.
        self.request: ChatRequest
        # Set together with a seat.
        self.before_seat: Attempt | None

    def note(self, words: str) -> None:
        """Keep what the trail shall tell beside the attempts."""
        if len(self.recorder.notes) < _MOST_NOTES:
            self.recorder.notes.append(words[:_LONGEST_NOTE])

    def unsettled_nano(self) -> int:
        """Return what the attempt that just failed will be billed."""
        attempt = self.attempt
        if attempt is None or attempt.is_settled:
            return 0
        return bill_attempt(attempt, self.failure).cost_nano or 0
