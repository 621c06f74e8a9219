"""Text and chips mean the same, and a wrong word is named while the others count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usage import log_search
from usage.log_search import LONGEST, MOST_TERMS, NAMES, Search, Term, from_pairs, parse

WORDS = [
    ("status:429", "status", "429"),
    ("status:5XX", "status", "5xx"),
    ("STATUS:404", "status", "404"),
    ("key:ci", "key", "ci"),
    ('key:"my laptop"', "key", "my laptop"),
    ('key:"say \\"hi\\""', "key", 'say "hi"'),
    ("provider:azure", "provider", "azure"),
    ("tried:azure", "tried", "azure"),
    ("model:gpt-5*", "model", "gpt-5*"),
    ("model:llama3:8b", "model", "llama3:8b"),
    ("served:claude-sonnet-5", "served", "claude-sonnet-5"),
    ("asked:smart", "asked", "smart"),
    ("agent:codex", "agent", "codex"),
    ("session:ci:main:7", "session", "ci:main:7"),
    ("user:u-1", "user", "u-1"),
    ("error:insufficient_quota", "error", "insufficient_quota"),
    ("dialect:anthropic", "dialect", "anthropic"),
    ("outcome:failed", "outcome", "failed"),
    ("outcome:client_closed", "outcome", "client_closed"),
    ("stream:yes", "stream", "yes"),
    ("fallback:NO", "fallback", "no"),
    ("unpriced:yes", "unpriced", "yes"),
    ("estimated:yes", "estimated", "yes"),
    ("cost>0.1", "cost", ">0.1"),
    ("cost:>0.1", "cost", ">0.1"),
    ("cost<=$2", "cost", "<=$2"),
    ("latency>2s", "latency", ">2s"),
    ("latency>=800ms", "latency", ">=800ms"),
    ("ttft>1s", "ttft", ">1s"),
    ("tokens>10k", "tokens", ">10k"),
    ("attempts>1", "attempts", ">1"),
    ("purpose:probe", "purpose", "probe"),
    ("id:0198f2a4", "id", "0198f2a4"),
    ("since:2026-11-01", "since", "2026-11-01"),
    ("until:2026-11-01T08:00+05:45", "until", "2026-11-01T08:00+05:45"),
    ("since:24h", "since", "24h"),
    ("gpt-5-mini", "model", "gpt-5-mini"),
    ('"a model"', "model", "a model"),
    (
        "0198f2a477c17b2e9d415b0c2f1e9c41",
        "id",
        "0198f2a4-77c1-7b2e-9d41-5b0c2f1e9c41",
    ),
    ("session:مرحبا", "session", "مرحبا"),
]


@pytest.mark.parametrize(("text", "name", "value"), WORDS, ids=[w[0] for w in WORDS])
def test_a_word_is_read_and_written_again_and_equals_its_chip(
    text: str, name: str, value: str
) -> None:
    search = parse(text)
    assert search == Search((Term(name, value),))
    assert parse(search.text) == search
    assert from_pairs([(name, value)]) == search


def test_every_name_is_in_the_table() -> None:
    assert {name for _, name, _ in WORDS} == set(NAMES)


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("status:abc", "a status such as 429"),
        ("status:999", "a status such as 429"),
        ("colour:red", "there is no filter colour"),
        ("qwen:7b", "model:qwen:7b"),
        ("stream:maybe", "yes, no"),
        ("outcome:great", "crashed"),
        ("purpose:fun", "playground"),
        ("cost:0.1", "needs a comparison"),
        ("cost>lots", "an amount in USD"),
        ("cost>-1", "an amount in USD"),
        ("cost>NaN", "an amount in USD"),
        ("cost>1e999999", "an amount in USD"),
        ("latency>2h", "a duration"),
        ("tokens>1_0", "a number"),
        ("tokens>99999999999999999999", "a number"),
        ("key>ci", "key is not compared"),
        ("id:xyz", "a request id"),
        ("id:01", "its first 8"),
        ("since:yesterday", "2026-11-20"),
        ("since:2026-13-45", "2026-11-20"),
        ("since:0001-01-01", "2026-11-20"),
        ('key:"open', "is not closed"),
        ('key:""', "has no value"),
        ("key:" + "x" * 201, "longer than 200"),
    ],
)
def test_a_wrong_word_is_named_and_the_rest_counts(word: str, why: str) -> None:
    search = parse(f"status:429 {word}")
    assert Term("status", "429") in search.terms
    [problem] = [each for each in search.problems if why in each.why]
    assert problem.word[:20] == word[:20]


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE usage_request; --",
        "key:' OR 1=1 --",
        "model:%_%",
        "model:" + "*" * 190,
        "‮status:429‬",
        "\x00\x01key:\x00ci",
        '"' * 300,
        "key:" * 500,
        "a" * 10_000,
        "status:429 " * 1_000,
        "cost>" * 400,
        "(((((((((((",
    ],
)
def test_hostile_text_is_bounded_and_never_raises(text: str) -> None:
    search = parse(text)
    assert len(search.terms) <= MOST_TERMS
    assert len(search.problems) <= MOST_TERMS
    assert all(len(each.value) <= 200 for each in search.terms)
    assert all(len(each.word) <= 61 for each in search.problems)


@given(st.text(max_size=300))
def test_whatever_is_typed_reads_the_same_when_written_again(text: str) -> None:
    search = parse(text)
    assert parse(search.text).terms == search.terms
    assert from_pairs([(t.name, t.value) for t in search.terms]).terms == search.terms


def test_text_beyond_the_limit_is_said_to_be_left_out() -> None:
    [problem] = parse("status:429 " + " " * LONGEST).problems
    assert "first 2000 characters" in problem.why


def test_a_name_typed_anew_replaces_and_others_stay() -> None:
    on = from_pairs([("status", "429"), ("key", "ci"), ("page", "7")])
    search = log_search.merged(on, parse("status:4xx status:5xx"))
    assert search.text == "key:ci status:4xx status:5xx"


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("800", 800), ("800ms", 800), ("2s", 2_000), ("1.5m", 90_000)],
)
def test_durations(text: str, milliseconds: int) -> None:
    assert log_search.milliseconds(text) == milliseconds


def test_amounts_are_exact_to_the_nano_dollar() -> None:
    assert log_search.nano_usd("0.100000001") == 100_000_001
    assert log_search.count("1.5M") == 1_500_000
