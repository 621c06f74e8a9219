"""What a 400 that names a field teaches, and what it must not teach."""

from __future__ import annotations

import json

import pytest

from poolsite.clock import SystemClock
from providers.formats.base import UpstreamRequest
from providers.formats.errors import ErrorDetail
from providers.proxy.lessons import REFUSAL_FACT, Lessons, refused_field, without
from tests.providers.proxy import strange
from tests.providers.proxy.pool import Pool, chat
from tests.upstream.server import FaultUpstream

SENT = UpstreamRequest(
    b'{"model":"m","messages":[],"seed":1,"max_tokens":5,"temperature":0.3,"tools":[],'
    b'"context_management":{},"generationConfig":{},"reasoning_effort":"low"}',
    "/chat/completions",
    "m",
)


@pytest.mark.parametrize(
    ("message", "param", "code", "field"),
    [
        ("Unsupported parameter: 'seed' is not supported here.", None, None, "seed"),
        ("Unrecognized request argument supplied: seed", None, None, "seed"),
        ("seed: Extra inputs are not permitted", None, None, "seed"),
        (
            "context_management: Extra inputs are not permitted",
            None,
            None,
            "context_management",
        ),
        ("No.", "seed", "unsupported_parameter", "seed"),
        ('Unknown name "seed": Cannot find field.', None, None, "seed"),
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
            "max_tokens=max_completion_tokens",
        ),
        (
            "Unsupported value: 'temperature' does not support 0.3 with this model.",
            "temperature",
            "unsupported_value",
            "temperature",
        ),
        # Of the value, of what carries the conversation, of what was not sent, of
        # what lies inside another field, of nothing at all.
        ("Invalid value for 'seed': not allowed", "seed", "invalid_value", None),
        ("Unsupported value: 'low' is not supported", "reasoning_effort", None, None),
        ("Unsupported parameter: 'tools'", "tools", None, None),
        ("Unsupported parameter: 'messages'", "messages", None, None),
        ("messages.1.foo: Extra inputs are not permitted", None, None, None),
        ("Unsupported parameter: 'top_k'", None, None, None),
        (
            "Unknown name \"foo\" at 'generationConfig': Cannot find field.",
            None,
            None,
            None,
        ),
        ("Bad request", None, None, None),
    ],
)
def test_only_a_field_that_is_not_taken_teaches(
    message: str, param: str | None, code: str | None, field: str | None
) -> None:
    detail = ErrorDetail(message=message, param=param, code=code)
    assert refused_field(detail, SENT) == field


def test_the_place_an_error_names_counts() -> None:
    raw = b'{"detail":[{"loc":["body","seed"],"msg":"Extra inputs are not permitted"}]}'
    detail = ErrorDetail(message="Extra inputs are not permitted", raw=raw)
    assert refused_field(detail, SENT) == "seed"


def test_a_body_that_is_no_json_teaches_nothing() -> None:
    sent = UpstreamRequest(b"--x", "/", "m", content_type="multipart/form-data")
    assert (
        refused_field(ErrorDetail(message="Unsupported parameter: 'x'"), sent) is None
    )
    assert without(sent, frozenset({"x"})) is sent


def test_a_field_called_otherwise_keeps_its_value() -> None:
    made = without(SENT, frozenset({"max_tokens=max_completion_tokens", "seed"}))
    body = json.loads(made.body)
    assert "max_tokens" not in body
    assert body["max_completion_tokens"] == 5
    assert made.losses == ("seed:drop",)


async def test_a_refused_field_is_left_out_once_more_and_from_then_on(
    pool: Pool, upstream: FaultUpstream
) -> None:
    upstream.control.orders["gpt-test"] = "400-param-seed+first-1"
    answer = await pool.call(chat(seed=7, user="u"))
    assert answer.status == 200, answer.body
    assert answer.header("x-pool-loss") == "seed:drop"
    first, second = (json.loads(seen.body) for seen in upstream.control.seen)
    assert first["seed"] == 7
    assert "seed" not in second
    assert second["user"] == "u"
    assert pool.decisions == ["retry_same", "served"]
    assert [attempt.losses for attempt in pool.attempts] == ["", "seed:drop"]
    (fact,) = (fact for fact in pool.facts if fact.kind == REFUSAL_FACT)
    assert fact.payload["fields"] == ["seed"]
    await pool.call(chat(seed=7))
    assert len(upstream.control.seen) == 3
    assert "seed" not in json.loads(upstream.control.seen[2].body)


async def test_what_was_learned_survives_a_restart(
    pool: Pool, upstream: FaultUpstream
) -> None:
    upstream.control.orders["gpt-test"] = "400-param-seed+first-1"
    await pool.call(chat(seed=7))
    payloads = [fact.payload for fact in pool.facts if fact.kind == REFUSAL_FACT]
    async with Pool(upstream.base_url) as other:
        other.pipeline.lessons.load([*payloads, {"provider_id": "x"}, {}])
        answer = await other.call(chat(seed=7))
        assert answer.header("x-pool-loss") == "seed:drop"


def test_an_old_lesson_is_forgotten() -> None:
    lessons = Lessons(SystemClock())
    old = {"provider_id": 1, "model": "m", "fields": ["seed"], "until_s": 1.0}
    lessons.load([old])
    assert not lessons._known


async def test_a_field_that_goes_on_being_refused_is_the_clients_affair(
    pool: Pool, upstream: FaultUpstream
) -> None:
    upstream.control.orders["gpt-test"] = "400-param-seed"
    answer = await pool.call(chat(seed=7))
    assert answer.status == 400
    assert answer.error["param"] == "seed"
    assert answer.header("x-should-retry") == "false"
    assert len(upstream.control.seen) == 2
    assert not [fact for fact in pool.facts if fact.kind == REFUSAL_FACT]
    assert [attempt.decision for attempt in pool.attempts] == [
        "retry_same",
        "fail_fast",
    ]


async def test_the_conversation_is_never_left_out(
    pool: Pool, upstream: FaultUpstream
) -> None:
    upstream.control.orders["gpt-test"] = "400-param-messages+first-1"
    answer = await pool.call(chat())
    assert answer.status == 400
    assert len(upstream.control.seen) == 1


async def test_a_lesson_holds_also_where_the_dialect_does_not_know_of_it(
    upstream: FaultUpstream,
) -> None:
    with strange.registered() as around:
        async with Pool(upstream.base_url) as pool:
            pool.set_provider(1, format="strange")
            upstream.control.orders["gpt-test"] = "400-param-seed+first-1"
            answer = await pool.call(chat(seed=7))
            assert answer.status == 200
            assert answer.header("x-pool-loss") == "seed:drop"
            assert around.aims[-1].drop == frozenset({"seed"})
            assert "seed" not in json.loads(upstream.control.seen[1].body)


async def test_a_lesson_holds_for_its_own_provider_only(
    pool: Pool, upstream: FaultUpstream
) -> None:
    upstream.control.orders["gpt-test"] = "400-param-seed+first-1"
    await pool.call(chat(seed=7))
    pool.add_provider(upstream.base_url, models=("gpt-test",), priority=99)
    pool.set_provider(2, priority=100)
    pool.set_provider(1, priority=1)
    answer = await pool.call(chat(seed=7))
    assert answer.header("x-pool-provider") == "p2"
    assert answer.header("x-pool-loss") is None
