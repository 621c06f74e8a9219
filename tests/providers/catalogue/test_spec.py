"""Prove that every entry of the catalogue makes a provider, and that search finds it."""

from __future__ import annotations

import pytest

from poolsite.actor import CLI
from poolsite.destinations import Vetter, host_port_of
from providers.catalogue import spec
from providers.services import providers


@pytest.mark.parametrize("entry", spec.entries().values(), ids=spec.entries())
@pytest.mark.django_db
def test_every_entry_makes_a_provider(entry: spec.CatalogueEntry) -> None:
    row = providers.create_provider(CLI, slug=entry.id, catalogue_id=entry.id)
    assert (row.base_url, row.type) == (entry.base_url.rstrip("/"), entry.type)
    allowed = frozenset({host_port_of(row.base_url)} if row.allow_private else ())
    Vetter().check_url(row.base_url, allowed)
    assert not entry.key_url or entry.key_url.startswith("https://")


def test_featured_entries_have_each_a_place_of_their_own() -> None:
    places = [entry.featured for entry in spec.featured()]
    assert places == sorted(set(places))
    assert places


def test_search_finds_names_first_then_hosts() -> None:
    assert spec.search("groq")[0].id == "groq"
    assert spec.search("OPENAI")[0].id == "openai"
    assert "deepseek" in [entry.id for entry in spec.search("api.deepseek.com")]
    assert len(spec.search("")) == len(spec.entries())
    assert spec.search("no such vendor") == []
