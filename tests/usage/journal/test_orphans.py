"""What a killed process left open is closed once, at an honest estimate."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.tokens import TokenUsage
from tests.usage.journal.factories import (
    START_NS,
    make_attempt,
    make_head,
    make_intent,
    make_progress,
    make_settle,
)
from usage.journal.orphans import OpenWork, orphans
from usage.journal.records import PriceRef, RequestSettle, Settle


def only(settles):
    (settle,) = settles
    return settle


def test_settled_work_leaves_no_orphans():
    assert orphans([make_intent(), make_progress(), make_settle()]) == []


def test_orphan_is_settled_as_crashed_together_with_its_request():
    settle = only(orphans([make_intent()]))
    assert settle.head == make_head()
    assert settle.attempt.outcome == "crashed"
    assert settle.attempt.estimated
    assert settle.request.outcome == "crashed"
    assert settle.request.attempts == 1
    assert settle.request.estimated


def test_orphan_without_progress_is_billed_its_input():
    settle = only(orphans([make_intent()]))
    assert settle.attempt.usage == TokenUsage(input_tokens=1_000)
    assert settle.attempt.cost_nano == 3_000_000
    assert settle.request.cost_nano == 3_000_000


def test_orphan_of_a_buffered_answer_is_billed_the_part_it_had_time_for():
    served = make_settle("r0", "a0")  # 100 tokens in 800 ms
    intent = make_intent(started_at_ns=START_NS)
    for alive_ms, output in ((400, 50), (800, 100), (5_000, 100)):
        other = make_progress("r2", "a2", at_ns=START_NS + alive_ms * 1_000_000)
        early = msgspec.structs.replace(
            served,
            attempt=msgspec.structs.replace(
                served.attempt, started_at_ns=START_NS - 10_000_000_000
            ),
        )
        attempt = only(orphans([early, intent, other])).attempt
        assert attempt.usage == TokenUsage(input_tokens=1_000, output_tokens=output)
        assert attempt.estimated


def test_orphan_nobody_saw_alive_is_billed_half_an_answer():
    served = make_settle("r0", "a0")
    started = served.attempt.started_at_ns + 60_000_000_000
    attempt = only(orphans([served, make_intent(started_at_ns=started)])).attempt
    assert attempt.usage == TokenUsage(input_tokens=1_000, output_tokens=50)


def test_streams_and_other_models_say_nothing_about_a_buffered_answer():
    stream = msgspec.structs.replace(
        make_settle("r0", "a0"), head=make_head("r0", stream=True)
    )
    other = make_settle("r3", "a3")
    other = msgspec.structs.replace(
        other,
        attempt=msgspec.structs.replace(
            other.attempt,
            target=msgspec.structs.replace(
                other.attempt.target, upstream_model="acme-small"
            ),
        ),
    )
    failed = make_settle("r4", "a4")
    failed = msgspec.structs.replace(
        failed, attempt=msgspec.structs.replace(failed.attempt, outcome="cut")
    )
    attempt = only(orphans([stream, other, failed, make_intent()])).attempt
    assert attempt.usage == TokenUsage(input_tokens=1_000)


def test_stream_without_progress_is_billed_its_input():
    intent = make_intent(head=make_head(stream=True))
    attempt = only(orphans([make_settle("r0", "a0"), intent])).attempt
    assert attempt.usage == TokenUsage(input_tokens=1_000)


def test_orphan_is_billed_what_the_vendor_said_and_the_output_seen():
    said = TokenUsage(input_tokens=700, cache_read_tokens=300, output_tokens=1)
    progress = make_progress(usage=said, estimated_output_tokens=500)
    attempt = only(orphans([make_intent(), make_progress(), progress])).attempt
    assert attempt.usage == TokenUsage(
        input_tokens=700, cache_read_tokens=300, output_tokens=500
    )
    assert attempt.cost_nano == 1_000 * 3_000 + 500 * 15_000
    assert attempt.latency_ms == 2_000


def test_orphan_never_costs_more_than_its_reservation():
    progress = make_progress(estimated_output_tokens=10_000_000)
    attempt = only(orphans([make_intent(), progress])).attempt
    assert attempt.cost_nano == 50_000_000
    assert attempt.budget_deltas == (
        (3, "2026-01", 50_000_000),
        (4, "total", 50_000_000),
    )


def test_unpriced_orphan_costs_unknown_and_not_zero():
    settle = only(orphans([make_intent(price=PriceRef(), reservation_nano=None)]))
    assert settle.attempt.cost_nano is None
    assert settle.attempt.budget_deltas == ()
    assert settle.request.cost_nano is None
    assert settle.request.unpriced


def test_orphan_with_nothing_known_reports_nothing():
    settle = only(orphans([make_intent(input_estimate_tokens=None)]))
    assert settle.attempt.usage is None
    assert settle.attempt.cost_nano is None
    assert not settle.request.unpriced


def test_request_killed_between_two_attempts_is_closed_with_their_sums():
    failed = Settle(head=make_head(), attempt=make_attempt(outcome="timeout"))
    settle = only(orphans([make_intent(), failed]))
    assert settle.attempt is None
    assert settle.request.attempts == 1
    assert settle.request.cost_nano == 4_200_000
    assert settle.request.usage == TokenUsage(input_tokens=900, output_tokens=100)


def test_fallback_killed_in_flight_adds_to_what_came_before():
    failed = Settle(head=make_head(), attempt=make_attempt(outcome="timeout"))
    second = make_intent(attempt="a2", attempt_no=2, head=None)
    settle = only(orphans([make_intent(), failed, second]))
    assert settle.attempt.attempt_id == "a2"
    assert settle.head == make_head()
    assert settle.request.attempts == 2
    assert settle.request.cost_nano == 4_200_000 + 3_000_000


def test_two_open_attempts_of_one_request_close_it_once():
    second = make_intent(attempt="a2", attempt_no=2, head=None)
    settles = orphans([make_intent(), second])
    assert [each.attempt.attempt_id for each in settles] == ["a1", "a2"]
    assert [each.request is None for each in settles] == [True, False]
    assert settles[1].request.attempts == 2


def test_attempt_left_open_by_a_settled_request_is_still_billed():
    closed = Settle(head=make_head(), request=RequestSettle(status=200, outcome="ok"))
    settle = only(orphans([make_intent(), closed]))
    assert settle.attempt.cost_nano == 3_000_000
    assert settle.request is None


def test_intent_repeated_after_its_settle_is_no_orphan():
    assert orphans([make_intent(), make_settle(), make_intent()]) == []


def test_intent_without_its_head_is_still_closed():
    settle = only(orphans([make_intent(head=None)]))
    assert settle.head.request_id == "r1"
    assert settle.head.at_ns == START_NS + 1_000_000


def test_progress_of_unknown_attempts_is_ignored():
    assert orphans([make_progress()]) == []


def test_segments_of_open_requests_are_kept():
    work = OpenWork()
    assert work.oldest_segment() is None
    work.feed(make_intent("r1", "a1"), 4)
    work.feed(make_intent("r2", "a2"), 5)
    work.feed(make_settle("r1", "a1"), 6)
    assert work.oldest_segment() == 5


def test_closed_work_is_forgotten_after_a_while(monkeypatch):
    monkeypatch.setattr("usage.journal.orphans._REMEMBERED", 4)
    work = OpenWork()
    for number in range(50):
        work.feed(make_intent(f"r{number}", f"a{number}"))
        work.feed(make_settle(f"r{number}", f"a{number}"))
    work.feed(make_intent("r49", "a49"))
    assert work.crashed() == []
    work.feed(make_intent("r0", "a0"))
    assert len(work.crashed()) == 1


def test_crashed_work_is_closed_only_once():
    work = OpenWork()
    work.feed(make_intent())
    assert len(work.crashed()) == 1
    work.feed(make_intent())
    assert work.crashed() == []


@settings(max_examples=200)
@given(st.data())
def test_every_intent_is_settled_exactly_once_wherever_the_journal_ends(data):
    written = []
    for request in range(3):
        name = f"r{request}"
        for attempt in range(2):
            intent = make_intent(name, f"{name}a{attempt}", attempt_no=attempt + 1)
            settle = make_settle(name, f"{name}a{attempt}")
            if attempt == 0:
                settle = msgspec.structs.replace(settle, request=None)
            written += [(request, intent), (request, settle)]
    order = data.draw(st.permutations([each for each, _ in written]))
    lines = {each: [r for owner, r in written if owner == each] for each in range(3)}
    merged = [lines[each].pop(0) for each in order]
    seen = merged[: data.draw(st.integers(0, len(merged)))]
    settles = [each for each in seen if isinstance(each, Settle)] + orphans(seen)
    attempts = [each.attempt.attempt_id for each in settles if each.attempt]
    requests = [each.head.request_id for each in settles if each.request]
    intents = [each for each in seen if not isinstance(each, Settle)]
    assert sorted(attempts) == sorted(each.attempt_id for each in intents)
    assert sorted(requests) == sorted({each.request_id for each in intents})


def test_orphan_whose_stream_had_begun_says_so_and_when():
    early = make_progress(first_event=True, ttft_ms=120)
    intent = make_intent(
        head=make_head(stream=True), started_at_ns=START_NS + 5_000_000
    )
    settle = only(orphans([intent, early]))
    assert settle.attempt.ttft_ms == 120
    assert settle.attempt.status == 200
    assert settle.attempt.reason == "The answer had begun when the process ended."
    assert settle.request.ttft_ms == 125
    before = only(orphans([intent])).attempt
    assert (before.ttft_ms, before.status) == (None, None)
    assert before.reason == "The process ended before the attempt did."
