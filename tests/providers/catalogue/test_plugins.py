"""Providers of other packages are found by entry point, and may decline."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from providers.catalogue import plugins, spec
from providers.catalogue.spec import CatalogueEntry

ACME = CatalogueEntry(
    id="acme",
    name="Acme",
    type="custom",
    location="cloud",
    base_url="https://api.acme.example/v1",
    format="openai",
    key_url="",
    environment=("ACME_API_KEY",),
    needs_key=True,
)


@pytest.fixture
def offered(monkeypatch):
    module = ModuleType("acme_pool")
    module.ENTRY = ACME
    module.listed = lambda: [ACME]
    module.decline = lambda: None
    module.nonsense = ["acme"]
    monkeypatch.setitem(sys.modules, "acme_pool", module)

    def load(*names):
        points = [
            EntryPoint(name, f"acme_pool:{value}", plugins.GROUP)
            for name, value in names
        ]
        return plugins.from_entry_points(points, CatalogueEntry)

    return load


@pytest.mark.parametrize("value", ["ENTRY", "listed"])
def test_entry_or_function_is_loaded(offered, value):
    assert offered(("acme", value)) == [ACME]


def test_next_package_is_asked_when_one_declines(offered):
    assert offered(("acme", "decline"), ("acme", "listed")) == [ACME]


@pytest.mark.parametrize("value", ["nonsense", "missing"])
def test_failing_plugin_takes_nobody_down(offered, value, caplog):
    with caplog.at_level(logging.ERROR, "providers.catalogue"):
        assert offered(("acme", value), ("other", "ENTRY")) == [ACME]
    assert f"acme_pool:{value}" in caplog.text


def test_plugin_adds_to_the_catalogue_and_replaces_nothing(monkeypatch):
    impostor = CatalogueEntry(**{**_fields(ACME), "id": "openai"})
    monkeypatch.setattr(plugins, "installed", lambda kind: [ACME, impostor])
    spec.entries.cache_clear()
    try:
        assert spec.entries()["acme"] == ACME
        assert spec.entries()["openai"].name == "OpenAI"
    finally:
        monkeypatch.undo()
        spec.entries.cache_clear()


def _fields(entry):
    return {name: getattr(entry, name) for name in entry.__struct_fields__}
