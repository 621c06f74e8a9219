"""docs/dialects.md says what the code does."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from providers.formats import registry
from providers.formats.base import WireFormat
from tests.providers.formats.page import tables
from tests.providers.formats.page.samples import FEATURES, PLAIN

PAGE = tables.PAGE.read_text()
REMEDY = "run python -m tests.providers.formats.page.tables"
ROW = re.compile(r"^\| `([a-z-]+)` \| `([a-z_]+/[a-z_]+)\.py` \|", re.MULTILINE)


@pytest.mark.parametrize("name", tables.MADE)
def test_the_pages_tables_are_what_the_code_does(name: str) -> None:
    assert tables.marked(PAGE, name) == tables.MADE[name](), REMEDY


def test_every_format_stands_on_the_page_with_its_module() -> None:
    rows = dict(ROW.findall(PAGE))
    assert set(rows) == set(registry.formats())
    for format_id, path in rows.items():
        module = import_module("providers.formats." + path.replace("/", "."))
        wire: WireFormat = module.FORMAT
        assert wire.id == format_id


def test_every_pair_of_dialects_is_joined() -> None:
    for inbound, wire in registry.formats().items():
        if wire.routes:
            for upstream in registry.formats():
                assert "-" not in tables.how(inbound, upstream), (inbound, upstream)


@pytest.mark.parametrize(
    ("inbound", "feature"),
    [
        (inbound, each)
        for inbound in PLAIN
        for each in FEATURES
        if inbound in FEATURES[each]
    ],
)
def test_nothing_is_left_out_without_a_word(inbound: str, feature: str) -> None:
    for upstream in tables.MODELS:
        if upstream != inbound:
            assert tables.outcome(inbound, upstream, feature) != "unsaid", upstream
