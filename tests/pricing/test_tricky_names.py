"""Prove the table of docs/pricing.md: what each tricky name is priced with."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pricing.matcher import SOURCES, Matcher

PAGE = Path(__file__).parents[2] / "docs" / "pricing.md"
HEAD = "| Name | At | Source | Entry | Input | Output |"


def rows() -> list[list[str]]:
    """Return the cells of the table's rows."""
    lines = PAGE.read_text().partition(HEAD)[2].splitlines()[2:]
    table = lines[: lines.index("")]
    return [
        [cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in table
    ]


def test_the_table_holds_every_kind_of_name() -> None:
    sources = [row[2] for row in rows()]
    assert len(sources) >= 20
    assert sources.count("unknown") >= 10
    assert {"book", "heuristic", "unknown"} == set(sources)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_name_is_priced_as_the_table_says(row: list[str]) -> None:
    name, at, source, entry, usd_in, usd_out = row
    found = Matcher().match("any", name, listing_id="" if at == "-" else at)
    assert (found.source, found.key) == (source, entry)
    if source == "unknown":
        assert found.price is None
        return
    assert found.price is not None
    assert found.price.input == Decimal(usd_in) * 1_000_000_000
    assert found.price.output == Decimal(usd_out) * 1_000_000_000


def test_the_page_names_the_sources_in_the_matcher_s_order() -> None:
    text = PAGE.read_text()
    places = [text.index(f"| `{source}` |") for source in SOURCES]
    assert places == sorted(places)
