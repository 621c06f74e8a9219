"""The rules of events: what breaks one is refused, what was repaired breaks none."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.tokens import TokenUsage
from providers.formats.errors import ErrorDetail
from providers.formats.neutral.events import (
    AnyEvent,
    CitationSeen,
    Delta,
    End,
    Failed,
    Finish,
    MediaSeen,
    Meta,
    OpaqueSeen,
    PartClose,
    PartOpen,
    Start,
    UnknownSeen,
    UsageSeen,
)
from providers.formats.neutral.repair import Repair
from providers.formats.neutral.types import (
    Citation,
    Opaque,
    Text,
    ToolCall,
)
from providers.formats.neutral.validate import EventsError, validate

START, DONE, END = Start(), Finish(reason="end"), End()
OPEN, SAID = PartOpen(pos=0, kind="text"), Delta(pos=0, text="a")
CLOSE = PartClose(pos=0, part=Text(text="a"))
CALL = PartOpen(pos=0, kind="tool_call", name="f")
FAILED = Failed(error=ErrorDetail())
NEGATIVE = UsageSeen(usage=TokenUsage(input_tokens=-1))
PROOF = OpaqueSeen(pos=0, opaque=Opaque(family="x", slot="signature", data="d"))
SOURCE = CitationSeen(pos=0, citation=Citation())
ODD = UnknownSeen(pos=0, dialect="x", type="y", payload=msgspec.Raw(b"{}"))


@pytest.mark.parametrize(
    "events",
    [
        [],
        [FAILED],
        [START, FAILED],
        [START, OPEN, SAID],
        [START, OPEN, SAID, SOURCE, CLOSE, DONE, END],
        [START, OPEN, SAID, CLOSE, Meta(), DONE, FAILED],
        [START, CALL, PROOF, PartClose(pos=0, part=ToolCall(name="f")), DONE, END],
    ],
)
def test_what_keeps_the_rules_passes(events: list[AnyEvent]) -> None:
    validate(events)


@pytest.mark.parametrize(
    ("events", "rule"),
    [
        ([OPEN], "the start"),
        ([START, START], "the start"),
        ([END], "the start"),
        ([START, END], "no choice"),
        ([START, OPEN, SAID, CLOSE, END], "no choice"),
        ([START, OPEN, DONE], "still open"),
        ([START, DONE, DONE], "one finish"),
        ([START, DONE, END, END], "follows"),
        ([START, FAILED, DONE], "follows"),
        ([START, DONE, OPEN], "has ended"),
        ([START, OPEN, PartOpen(pos=1, kind="text")], "one part"),
        ([START, OPEN, SAID, CLOSE, OPEN], "count up"),
        ([START, PartOpen(pos=0, kind="tool_call")], "name"),
        ([START, SAID], "not open"),
        ([START, CLOSE], "not open"),
        ([START, OPEN, ODD], "not of this kind"),
        ([START, OPEN, MediaSeen(pos=0, data="")], "not of this kind"),
        ([START, CALL, SOURCE], "not of this kind"),
        ([START, OPEN, PartClose(pos=0)], "another kind"),
        ([START, CALL, CLOSE], "another kind"),
        ([START, OPEN, CLOSE], "never said"),
        ([START, NEGATIVE], "no bill"),
        ([Start(usage=NEGATIVE.usage)], "no bill"),
        (
            [START, OPEN, SAID, CLOSE, Finish(reason="end", choice=1), END],
            "a choice has not",
        ),
    ],
)
def test_what_breaks_a_rule_is_refused(events: list[AnyEvent], rule: str) -> None:
    with pytest.raises(EventsError, match=rule):
        validate(events)


POSITIONS, CHOICES = st.integers(0, 4), st.integers(0, 1)
WORDS = st.text("ab", max_size=2)
KINDS = st.sampled_from(["text", "reasoning", "tool_call", "refusal"])
EVENTS: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(PartOpen, pos=POSITIONS, kind=KINDS, choice=CHOICES, name=WORDS),
    st.builds(Delta, pos=POSITIONS, text=WORDS),
    st.builds(PartClose, pos=POSITIONS),
    st.builds(Finish, reason=st.sampled_from(["end", "tool_calls"]), choice=CHOICES),
    st.just(UsageSeen(usage=TokenUsage(input_tokens=1))),
    st.just(START),
    st.just(Meta()),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(EVENTS, max_size=30), st.sampled_from([END, FAILED]))
def test_whatever_comes_is_right_once_it_was_repaired(
    events: list[AnyEvent], last: AnyEvent
) -> None:
    repaired = Repair().feed([*events, last, *events])
    validate(repaired)
    assert isinstance(repaired[-1], type(last))


def test_a_call_without_a_name_is_none() -> None:
    nameless = PartOpen(pos=0, kind="tool_call", id="c")
    ended = Finish(reason="tool_calls")
    repaired = Repair().feed([START, nameless, SAID, PartClose(pos=0), ended, END])
    assert repaired == [START, Finish(reason="end"), END]
