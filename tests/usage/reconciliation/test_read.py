"""Statements are read as their vendors write them, or refused with the line."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.usage.reconciliation.month import reading
from usage.reconciliation.read import Reading, Statement, Sum, nano, read
from usage.reconciliation.table import LARGEST, open_table
from usage.services import UsageError

PLAIN = reading(day="day", model="model", cost="cost")
OPENAI_COSTS = """\
start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id,organization_name
1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,0.8958740000000000,usd,"gpt-5-2025-08-07, input",,org-1,Personal
1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,0.1,usd,"gpt-5-2025-08-07, cached input",,org-1,Personal
1759968000,1760054400,2025-10-09T00:00:00+00:00,2025-10-10T00:00:00+00:00,,,,,,
"""
OPENAI_USAGE = """\
start_time\tend_time\tstart_time_iso\tend_time_iso\tproject_id\tnum_model_requests\tuser_id\tapi_key_id\tmodel\tbatch\tservice_tier\tinput_tokens\toutput_tokens\tinput_cached_tokens\tinput_uncached_tokens
1759622400\t1759708800\t2025-10-05T00:00:00+00:00\t2025-10-06T00:00:00+00:00\tproj_1\t10.0\tuser-1\tkey_1\tgpt-4o-2024-08-06\tFALSE\tdefault\t59200.0\t10646.0\t5760.0\t53440.0
1759881600\t1759968000\t2025-10-08T00:00:00+00:00\t2025-10-09T00:00:00+00:00\t\t\t\t\t\t\t\t\t\t\t
"""
ANTHROPIC_USAGE = """\
usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,web_search_count,inference_geo,speed
2026-08-05,claude-sonnet-4-5-20250929,key,Default,standard,≤ 200k,46981,15969,1000,7,16932,0,global,
"""
ANTHROPIC_COST = """\
usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,inference_geo,speed
2026-04-06,Claude Sonnet 4.5,Default,key,message,≤ 200k,input_no_cache,0.01,0.01,token,global,
2026-04-06,Claude Sonnet 4.5,Default,key,message,≤ 200k,input_cache_read,18.71,18.71,token,global,
"""
OPENROUTER_LOG = """\
generation_id,created_at,cost_total,cost_web_search,cost_cache,cost_file_processing,byok_usage_inference,tokens_prompt,tokens_completion,tokens_reasoning,tokens_cached,model_permaslug,provider_name,variant,cancelled,streamed
gen-1,2026-02-06 18:54:30.040,0.0123,0,0,0,0,10389,137,30,389,openai/gpt-oss-120b,Groq,standard,false,true
gen-2,2026-02-06 23:59:59.999,0,0,0,0,0,11,1,0,0,openai/gpt-oss-120b,Groq,free,false,true
"""
OPENROUTER_DAYS = """\
Date,Slug,Usage,BYOK Usage,Requests,Prompt Tokens,Completion Tokens,Reasoning Tokens
"2026-05-12","openai/gpt-5","1.25","0","31","640000","30500","0"
"""
_IN = Sum(input=46981, cache_read=7, cache_write=16969, output=16932)
SHAPES: dict[str, tuple[str, dict[tuple[str, str], Sum]]] = {
    "openai_costs": (
        OPENAI_COSTS,
        {("2025-10-05", "gpt-5-2025-08-07"): Sum(cost=Decimal("0.995874"))},
    ),
    "openai_usage": (
        OPENAI_USAGE,
        {
            ("2025-10-05", "gpt-4o-2024-08-06"): Sum(
                input=53440, cache_read=5760, output=10646, requests=10
            )
        },
    ),
    "anthropic_usage": (
        ANTHROPIC_USAGE,
        {("2026-08-05", "claude-sonnet-4-5-20250929"): _IN},
    ),
    "anthropic_cost": (
        ANTHROPIC_COST,
        {("2026-04-06", "Claude Sonnet 4.5"): Sum(cost=Decimal("18.72"))},
    ),
    "openrouter_log": (
        OPENROUTER_LOG,
        {
            ("2026-02-06", "openai/gpt-oss-120b"): Sum(
                cost=Decimal("0.0123"), input=10000, cache_read=389, output=137,
                requests=1,
            ),
            ("2026-02-06", "openai/gpt-oss-120b:free"): Sum(
                cost=Decimal(0), input=11, cache_read=0, output=1, requests=1
            ),
        },
    ),
    "openrouter_days": (
        OPENROUTER_DAYS,
        {
            ("2026-05-12", "openai/gpt-5"): Sum(
                cost=Decimal("1.25"), input=640000, output=30500, requests=31
            )
        },
    ),
}  # fmt: skip


def _read(text: str | bytes, how: Reading | None = None) -> Statement:
    data = text.encode() if isinstance(text, str) else text
    return read(open_table(data), how or PLAIN)


@pytest.mark.parametrize("shape", SHAPES)
def test_export_is_known_by_its_header(shape: str) -> None:
    text, expected = SHAPES[shape]
    found = _read(text, Reading())
    assert found.shape == shape
    assert found.sums == {
        (date.fromisoformat(day), model): each
        for (day, model), each in expected.items()
    }


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(encoding: str, delimiter: str) -> None:
    cells = ("day", "model", "cost"), ("2026-01-02", '"modèle"', '"1.5"')
    text = "\r\n".join(delimiter.join(row) for row in cells)
    found = _read(text.encode(encoding))
    assert found.sums == {(date(2026, 1, 2), "modèle"): Sum(cost=Decimal("1.5"))}


@pytest.mark.parametrize(
    ("written", "usd"),
    [
        ("1,234.56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("0,345", "0.345"),
        ("12,5", "12.5"),
        ("1,234,567", "1234567"),
        ("1 234.5", "1234.5"),
        ("$3.20", "3.20"),
        ("(3.20)", "-3.20"),
        ("-3.20", "-3.20"),
        ("1.5E-7", "1.5E-7"),
        ("0.895874000000000012", "0.895874000000000012"),
    ],
)
def test_amounts_are_read_exactly(written: str, usd: str) -> None:
    found = _read(f'day,model,cost\n2026-01-02,m,"{written}"\n')
    [line] = found.sums.values()
    assert line.cost == Decimal(usd)


def test_comma_is_a_fraction_for_the_whole_file_when_said_once() -> None:
    found = _read("day;model;cost\n2026-01-02;m;1,234\n2026-01-02;m;0,5\n")
    [line] = found.sums.values()
    assert line.cost == Decimal("1.734")


def test_sums_are_rounded_once() -> None:
    rows = "".join("2026-01-02,m,0.0000000004\n" for _ in range(10))
    [line] = _read(f"day,model,cost\n{rows}").sums.values()
    assert nano(line.cost) == 4


def test_repeated_lines_are_counted_and_kept() -> None:
    found = _read("day,model,cost\n2026-01-02,m,2\n2026-01-02,m,2\n2026-01-02,m,3\n")
    [line] = found.sums.values()
    assert (line.cost, line.repeats, line.repeated) == (Decimal(7), 1, Decimal(2))


def test_negative_amounts_are_credits() -> None:
    found = _read("day,model,cost\n2026-01-02,m,2\n2026-01-02,m,-0.5\n")
    assert found.credits == Decimal("-0.5")


def test_moments_fall_on_the_days_of_the_chosen_zone() -> None:
    how = Reading(PLAIN.columns, time_zone="Asia/Kathmandu")
    found = _read("day,model,cost\n2026-01-01T18:15:00Z,m,1\n1767377699,m,1\n", how)
    assert {day for day, _ in found.sums} == {date(2026, 1, 2)}


def test_other_currency_needs_a_rate() -> None:
    how = reading(day="day", model="model", cost="cost", currency="cur")
    text = "day,model,cost,cur\n2026-01-02,m,2,EUR\n"
    with pytest.raises(UsageError, match="'EUR' is not USD: give a rate"):
        _read(text, how)
    found = _read(text, Reading(how.columns, usd_per_unit=Decimal("1.085")))
    [line] = found.sums.values()
    assert (line.cost, found.currency) == (Decimal("2.170"), "EUR")


@pytest.mark.parametrize(
    ("written", "order", "day"),
    [
        ("31.12.2026", "dmy", date(2026, 12, 31)),
        ("12/31/2026", "mdy", date(2026, 12, 31)),
        ("2026/9/1", "", date(2026, 9, 1)),
    ],
)
def test_days_in_other_orders(written: str, order: str, day: date) -> None:
    how = Reading(PLAIN.columns, date_order=order)
    assert list(_read(f"day,model,cost\n{written},m,1\n", how).sums) == [(day, "m")]


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b" \n", "empty"),
    "too large": (b"day,cost\n" + b"x" * LARGEST, "20 MB"),
    "ten megabyte line": (b"day,model,cost\n" + b"," * 10_000_000, "too long"),
    "ten megabyte cell": (b'day,cost\n"' + b"a" * 10_000_000 + b'"\n', "too long"),
    "nul": (b"day,model,cost\n2026-01-02,m\x00,1\n", "not a text file"),
    "broken utf-16": (b"\xff\xfed\x00a", "UTF-16"),
    "zip": (b"PK\x03\x04" + bytes(range(256)), "not a text file"),
    "one column": (b"hello\nworld\n", "not a header"),
    "column twice": (b"day,day\n1,2\n", "twice"),
    "no such column": (b"a,b\n1,2\n", "no column"),
    "too few cells": (b"day,model,cost\n2026-01-02,m\n", "Line 2 has 2 columns"),
    "open quote": (b'day,model,cost\n2026-01-02,"m,1\n', "cannot be read"),
    "formula": (b"day,model,cost\n2026-01-02,m,=1+1\n", "is not an amount"),
    "not a number": (b"day,model,cost\n2026-01-02,m,NaN\n", "is not an amount"),
    "infinite": (b"day,model,cost\n2026-01-02,m,1e99\n", "is not an amount"),
    "ambiguous day": (b"day,model,cost\n01/02/2026,m,1\n", "say which"),
    "no day": (b"day,model,cost\nTotal,m,1\n", "column day is not a day"),
    "year 0": (b"day,model,cost\n0000-01-02,m,1\n", "is not a day"),
    "long model": (
        b"day,model,cost\n2026-01-02," + b"m" * 300 + b",1\n", "too long"
    ),
    "nothing in it": (b"day,model,cost\n2026-01-02,m,\n", "says nothing"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_file_is_refused_in_words(case: str) -> None:
    data, words = HOSTILE[case]
    with pytest.raises(UsageError, match=words):
        _read(data)


@pytest.mark.parametrize("written", ["-5", "1.5", "1e3", "0x10", "twelve", "٣"])
def test_broken_counts_are_refused(written: str) -> None:
    how = reading(day="day", model="model", input="input", output="output")
    with pytest.raises(UsageError, match="Line 2: column input is not a count"):
        _read(f"day,model,input,output\n2026-01-02,m,{written},1\n", how)


@pytest.mark.parametrize(
    ("written", "number"), [("1,234", 1234), ("1.234.567", 1234567), ("12.0", 12)]
)
def test_counts_with_thousands(written: str, number: int) -> None:
    how = reading(day="day", model="model", input="input", output="output")
    found = _read(f'day,model,input,output\n2026-01-02,m,"{written}",1\n', how)
    [line] = found.sums.values()
    assert line.input == number


def test_more_cached_than_input_is_refused() -> None:
    values: dict[str, Any] = {"day": "d", "model": "m", "input": "i", "cache_read": "c"}
    how = reading(**values, has_cached=True)
    with pytest.raises(UsageError, match="more cached tokens than input"):
        _read("d,m,i,c\n2026-01-02,x,5,6\n", how)


def test_unknown_file_needs_its_columns() -> None:
    with pytest.raises(UsageError, match="name its columns"):
        _read("a,b\n1,2\n", Reading())
