"""Dialects of other packages are found by entry point, and may decline."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from providers.formats import plugins, registry

BUILT_IN = registry.get("openai")


def broken():
    raise RuntimeError("no such library")


@pytest.fixture
def offered(monkeypatch):
    module = ModuleType("acme_pool")
    module.FORMAT = BUILT_IN
    module.offer = lambda: BUILT_IN
    module.decline = lambda: None
    module.broken = broken
    module.nonsense = object()
    monkeypatch.setitem(sys.modules, "acme_pool", module)

    def load(*names):
        points = [
            EntryPoint(name, f"acme_pool:{value}", plugins.GROUP)
            for name, value in names
        ]
        return plugins.from_entry_points(points)

    return load


@pytest.mark.parametrize("value", ["FORMAT", "offer"])
def test_format_or_function_is_loaded(offered, value):
    assert offered(("acme", value)) == [BUILT_IN]


def test_next_package_is_asked_when_one_declines(offered):
    assert offered(("acme", "decline"), ("acme", "offer")) == [BUILT_IN]
    assert offered(("acme", "decline")) == []


@pytest.mark.parametrize("value", ["broken", "nonsense", "missing"])
def test_failing_plugin_takes_nobody_down(offered, value, caplog):
    with caplog.at_level(logging.ERROR, "providers.formats"):
        assert offered(("acme", value), ("other", "offer")) == [BUILT_IN]
    assert f"acme_pool:{value}" in caplog.text


def test_plugin_cannot_take_the_name_of_a_dialect_of_the_product(monkeypatch):
    class Impostor:
        id = "openai"

    monkeypatch.setattr(plugins, "installed", lambda: [Impostor()])
    registry.formats.cache_clear()
    try:
        assert registry.get("openai") is BUILT_IN
    finally:
        monkeypatch.undo()
        registry.formats.cache_clear()
