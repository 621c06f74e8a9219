"""Repair what a hostile upstream sends, in time that grows with what it sent."""

from __future__ import annotations

import time

from providers.formats.neutral.events import (
    AnyEvent,
    Delta,
    End,
    Finish,
    PartClose,
    PartOpen,
)
from providers.formats.neutral.gather import gather
from providers.formats.neutral.repair import Repair

MANY = 20_000


def test_parts_that_end_while_they_wait_need_no_depth() -> None:
    events: list[AnyEvent] = [
        PartOpen(pos=pos, kind="tool_call", id=f"c{pos}", name="f")
        for pos in range(MANY)
    ]
    events += [PartClose(pos=pos) for pos in reversed(range(MANY))]
    answer = gather(Repair().feed([*events, End()]))
    assert answer.is_complete
    assert [part.id for part in answer.choices[0].parts] == [  # type: ignore[union-attr]
        f"c{pos}" for pos in range(MANY)
    ]


def test_a_part_still_open_goes_on_after_those_that_waited() -> None:
    events = Repair().feed(
        [
            PartOpen(pos=0, kind="text"),
            PartOpen(pos=1, kind="text"),
            PartOpen(pos=2, kind="text"),
            Delta(pos=1, text="b"),
            PartClose(pos=1),
            Delta(pos=2, text="c"),
            Delta(pos=0, text="a"),
            PartClose(pos=0),
            Delta(pos=2, text="d"),
            End(),
        ]
    )
    said = [(each.pos, each.text) for each in events if isinstance(each, Delta)]
    assert said == [(0, "a"), (1, "b"), (2, "c"), (2, "d")]
    assert sum(isinstance(each, PartClose) for each in events) == 3


def test_many_choices_end_in_linear_time() -> None:
    events: list[AnyEvent] = [
        PartOpen(pos=pos, kind="text", choice=pos) for pos in range(MANY)
    ]
    events += [Finish(reason="end", choice=pos) for pos in range(MANY)]
    began = time.process_time()
    Repair().feed([*events, End()])
    assert time.process_time() - began < 2.0
