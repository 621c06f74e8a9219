"""One request: the attempts, the decisions, the bill, and what to do with it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from poolsite.ids import uuid7_at
from poolsite.money import usd_from_nano
from poolsite.ui.render import render
from poolsite.ui.shell import url_or_empty
from pricing.cost import CostLine
from providers.formats.base import NEED_NAMES
from providers.services import bodies
from providers.services.request_facts import as_curl, facts
from providers.services.trail import not_a_fallback, notes, summary_line
from providers.views.refusal_words import rule
from providers.views.words import DECISIONS, SOURCES
from usage import log
from usage.log import AttemptRow, RequestDetail

_COUNTERS: Final = {
    "input_tokens": "Input",
    "cache_read_tokens": "Input from cache",
    "cache_write_tokens": "Written to cache, 5 min",
    "cache_write_1h_tokens": "Written to cache, 1 h",
    "output_tokens": "Output",
    "reasoning_tokens": "Reasoning",
    "audio_in_tokens": "Audio in",
    "audio_out_tokens": "Audio out",
    "image_in_tokens": "Image in",
    "image_out_tokens": "Image out",
    "requests": "Requests",
}
_RATES: Final = {
    **{f"{name}_tokens": name for name in ("input", "output", "reasoning")},
    **{f"cache_{name}_tokens": f"cache_{name}" for name in ("read", "write")},
    "cache_write_1h_tokens": "cache_write_1h",
    **{f"{name}_tokens": name for name in ("audio_in", "audio_out")},
    **{f"{name}_tokens": name for name in ("image_in", "image_out")},
}


@require_GET
def request_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one request: the attempts, the decisions, the cost line by line."""
    found = log.detail(pk)
    if found is None:
        raise Http404(_missing(pk))
    host = f"{request.scheme}://{request.get_host()}"
    context = {
        "found": found,
        "request_row": found.request,
        "attempts": [Step(row, _scale(found)) for row in found.attempts],
        "way": summary_line(found),
        "notes": notes(found),
        "not_a_fallback": not_a_fallback(found),
        "exact_cost": _exact(found.request.cost_nano_usd),
        "rule": rule(found.request.error),
        "needs": [n for n, bit in NEED_NAMES.items() if found.request.row.needs & bit],
        "curl": as_curl(found, host),
        "has_bodies": bodies.is_kept(pk),
        "raw": json.dumps(facts(found), indent=2, ensure_ascii=False),
        "explain_url": _explain_url(found),
        "original_url": _original_url(found),
    }
    return render(request, "providers/requests/detail.html", context)


class Bill(NamedTuple):
    """One line of a cost, in words."""

    name: str
    line: CostLine
    note: str

    @property
    def exact(self) -> str:
        """The share to the nano-dollar."""
        return _exact(self.line.cost_nano_usd)


class Step(NamedTuple):
    """One attempt in the waterfall.

    Units:  positions are per cent of the request's whole time.
    """

    row: AttemptRow
    scale_ms: int

    @property
    def start(self) -> str:
        """Where its bar begins."""
        return self._place(self.row.row.start_offset_ms)

    @property
    def wait(self) -> str:
        """How long it waited for the first token; all of it when none came."""
        whole = self.row.row.latency_ms or 0
        first = self.row.row.ttft_ms
        return self._place(max(whole if first is None else min(first, whole), 0))

    @property
    def stream_start(self) -> str:
        """Where its answer begins."""
        return self._place(self.row.row.start_offset_ms + (self.row.row.ttft_ms or 0))

    @property
    def stream(self) -> str:
        """How long its answer took; zero when no token came."""
        first, whole = self.row.row.ttft_ms, self.row.row.latency_ms
        return self._place(0 if first is None or whole is None else whole - first)

    @property
    def no_token(self) -> str:
        """Why there is no time of a first token."""
        if self.row.outcome == "crashed":
            return "Not known: the process ended before it could be noted"
        return "No token came"

    @property
    def decision(self) -> str:
        """What the pool did next, as a sentence."""
        return DECISIONS.get(self.row.decision, self.row.decision)

    @property
    def source(self) -> str:
        """Where its price came from."""
        return SOURCES.get(self.row.price_source, self.row.price_source)

    @property
    def exact(self) -> str:
        """Its cost to the nano-dollar."""
        return _exact(self.row.row.cost_nano_usd)

    @property
    def bill(self) -> list[Bill]:
        """Its cost, line by line."""
        return [
            Bill(
                _COUNTERS.get(line.kind, line.kind.partition(":")[2].capitalize()),
                line,
                _fallback(line),
            )
            for line in self.row.lines
        ]

    def _place(self, milliseconds: int) -> str:
        return f"{100 * max(milliseconds, 0) / max(self.scale_ms, 1):.2f}%"


def _fallback(line: CostLine) -> str:
    """Say which price stood in for one the vendor does not list."""
    plain = _RATES.get(line.kind, "")
    if not plain or line.column == plain:
        return ""
    return f"at the {line.column.replace('_', ' ')} rate"


def _scale(found: RequestDetail) -> int:
    ends = [a.row.start_offset_ms + (a.row.latency_ms or 0) for a in found.attempts]
    return max([found.request.latency_ms or 0, *ends])


def _exact(nano: int | None) -> str:
    return "" if nano is None else f"{usd_from_nano(nano):.9f} USD"


def _explain_url(found: RequestDetail) -> str:
    """Return the routing simulator asked the same, blank while there is none."""
    url = url_or_empty("providers:route-explain")
    if not url or not found.request.model:
        return ""
    asked = {"model": found.request.model, "key": found.request.key}
    return f"{url}?{urlencode({name: value for name, value in asked.items() if value})}"


def _original_url(found: RequestDetail) -> str:
    """Return the request that this one repeats, blank when it repeats none."""
    try:
        original = UUID(str(found.trail.get("replay_of", "")))
    except ValueError:
        return ""
    return reverse("providers:request-detail", args=[original])


def _missing(pk: UUID) -> str:
    """Say why a request may not be there; its id says when it was made."""
    words = (
        "There is no such request. It may not have been written yet, retention may "
        "have removed it, or it came without a valid key: such calls are counted, not "
        "recorded."
    )
    try:
        made: datetime = uuid7_at(pk)
    except (ValueError, OverflowError):
        return words
    return f"{words} Its id was made on {made:%Y-%m-%d at %H:%M:%S} UTC."
