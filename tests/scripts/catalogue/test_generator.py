"""Prove that the catalogue is made by its order, and always the same."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import msgspec
import pytest

from pricing.book.listing_file import read_listing
from scripts.catalogue import __main__ as command
from scripts.catalogue import make

ROOT = Path(__file__).resolve().parents[3]
DAY = "2026-11-20"

GENAI = """
from datetime import date, time
from decimal import Decimal as D
from types import SimpleNamespace as N

def price(**columns):
    return N(**{name: D(value) for name, value in columns.items()})

def model(id, match, prices, variants=None):
    return N(id=id, name=None, match=match, context_window=None, deprecated=None,
             prices=prices, price_variants=variants)

tiered = N(input_mtok=N(base=D("2"), tiers=[N(start=200000, price=D("4"))]),
           output_mtok=D("8"), web_searches_kcount=D("10"))
by_day = [
    N(constraint=None, prices=price(input_mtok="9", output_mtok="9")),
    N(constraint=N(start_date=date(2026, 9, 1)),
      prices=price(input_mtok="1", output_mtok="2")),
    N(constraint=N(start_time=time(1), end_time=time(4)),
      prices=price(input_mtok="2", output_mtok="4")),
    N(constraint=N(start_date=date(2027, 1, 1)),
      prices=price(input_mtok="5", output_mtok="5")),
]
batch = [N(when={"processing": "batch"}, constraint=None,
           prices=price(input_mtok="1", output_mtok="4"))]
providers = [
    N(id="x-ai", models=[
        model("acme-tiered", N(equals="acme-tiered"), tiered, batch),
        model("acme-hourly", N(or_=[N(starts_with="acme-hourly")]), by_day),
    ]),
    N(id="huggingface_x", models=[]),
]
"""


def models_dev():
    def row(id, **cost):
        return {"id": id, "name": id, "cost": cost, "limit": {"context": 1000}}

    rows = [
        row("acme-tiered", input=3, output=8),
        row("acme-hourly-20260101", input=7, output=7),
        row("acme-hourly-pro", input=7, output=7),
        row("acme-plain", input=1, output=2),
        row("grok-4", input=1, output=1),
    ]
    models = {each["id"]: each for each in rows}
    tiny = {
        "id": "tinyhost",
        "name": "Tiny",
        "api": "https://${ACCOUNT}.tiny.example/v1",
    }
    return {
        "xai": {"id": "xai", "name": "xAI", "models": models},
        "tinyhost": {**tiny, "env": ["TINY_KEY"], "models": models},
    }


def litellm():
    def row(**more):
        return {"litellm_provider": "xai", "mode": "chat", **more}

    plain = {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}
    return {
        "xai/acme-plain": row(**plain, input_cost_per_token_batches=5e-07),
        "xai/acme-tiered": row(**plain, input_cost_per_token_flex=1e-09),
        "xai/acme-embed": row(mode="embedding", input_cost_per_token=1e-08),
    }


@pytest.fixture
def inputs(tmp_path):
    folder = tmp_path / "sources"
    (folder / "genai_prices").mkdir(parents=True)
    (folder / "genai_prices" / "__init__.py").touch()
    (folder / "genai_prices" / "data.py").write_text(GENAI)
    (folder / "dev.gz").write_bytes(gzip.compress(json.dumps(models_dev()).encode()))
    (folder / "litellm.json").write_text(json.dumps(litellm()))
    return make.Inputs(folder / "dev.gz", folder, folder / "litellm.json", DAY)


@pytest.fixture
def result(inputs):
    return make.made(inputs, ROOT)


@pytest.fixture
def listed(result):
    return read_listing(result.files[make.MODELS].encode()).providers


def usd(nano):
    return None if nano is None else nano / 1_000_000_000


def test_same_sources_give_the_same_bytes(inputs, result):
    assert make.made(inputs, ROOT).files == result.files


def test_dated_price_in_force_wins_over_models_dev(listed):
    found = listed["xai"].models["acme-tiered"]
    assert (usd(found.price.input), found.origin) == (2, "genai-prices")
    assert (found.price.long_threshold, usd(found.price.long_input)) == (200_000, 4)
    assert usd(found.price.batch_output) == 4
    assert usd(found.price.per_tool_call) == 10_000


def test_dearest_hour_of_the_day_is_the_price(listed):
    found = listed["xai"].models["acme-hourly"]
    assert (usd(found.price.input), usd(found.price.output)) == (2, 4)


def test_prefix_covers_a_date_but_never_another_model(listed):
    models = listed["xai"].models
    assert models["acme-hourly-20260101"].origin == "genai-prices"
    assert usd(models["acme-hourly-20260101"].price.input) == 2
    assert models["acme-hourly-pro"].origin == "models.dev"


def test_tiers_come_only_from_a_source_with_the_same_rates(listed):
    models = listed["xai"].models
    assert usd(models["acme-plain"].price.batch_input) == 0.5
    assert models["acme-tiered"].price.flex_input is None


def test_hand_list_wins_and_is_there_whole(listed):
    found = listed["xai"].models["grok-4"]
    assert (usd(found.price.input), found.origin) == (3, "overlay")
    assert found.context_window == 256_000
    assert "claude-opus-5" in listed["anthropic"].models


def test_kind_comes_from_litellm_where_models_dev_says_nothing(listed):
    assert listed["xai"].models["acme-embed"].kind == "embedding"


def test_reachable_provider_becomes_an_entry_with_its_account_asked(result):
    rows = json.loads(result.files[make.PROVIDERS])["providers"]
    (tiny,) = [row for row in rows if row["id"] == "tinyhost"]
    assert tiny["base_url"] == "https://{account}.tiny.example/v1"
    assert tiny["environment"] == ["TINY_KEY"]
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)


def test_openrouters_list_speaks_for_openrouter_only(inputs, tmp_path):
    pricing = {"prompt": "0.000003", "completion": "0.000009"}
    row = {"id": "acme/large", "pricing": pricing}
    (tmp_path / "list.json").write_text(json.dumps({"data": [row]}))
    given = msgspec.structs.replace(inputs, openrouter=tmp_path / "list.json")
    listed = read_listing(make.made(given, ROOT).files[make.MODELS].encode()).providers
    found = listed["openrouter"].models["acme/large"]
    assert (usd(found.price.output), found.origin) == (9, "openrouter")
    assert "acme/large" not in listed["xai"].models


def test_every_disagreement_is_listed_and_settled(result):
    report = json.loads(result.files[make.DISPUTES])
    rows = {(row["model"], row["column"]): row for row in report["rows"]}
    assert rows["grok-4", "input"]["rule"] == "overlay"
    assert rows["acme-tiered", "input"]["rule"] == "dated"
    assert rows["acme-tiered", "input"]["stated"] == {
        "genai-prices": "2",
        "models.dev": "3",
        "litellm": "1",
    }
    assert report["open"] == 0
    assert report["found"] == len(report["rows"])


def test_check_tells_when_a_file_is_stale(inputs, tmp_path, monkeypatch, capsys):
    for path in (make.MODELS, make.PROVIDERS, make.DISPUTES):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "pricing/book/prices.json", tmp_path / "pricing/book")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    arguments = ["--models-dev", str(inputs.models_dev), "--date", DAY]
    arguments += ["--genai-prices", str(inputs.genai_prices)]
    arguments += ["--litellm", str(inputs.litellm)]
    assert command.main([*arguments, "--check"]) == 1
    assert command.main(arguments) == 0
    assert command.main([*arguments, "--check"]) == 0
    (tmp_path / make.MODELS).write_text("{}")
    assert command.main([*arguments, "--check"]) == 1
    assert "differs: pricing/book/models.json" in capsys.readouterr().out
