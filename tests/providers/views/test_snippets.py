"""Snippets are pasted into shells: nothing a vendor chose may run there."""

from __future__ import annotations

import pytest

from providers.views import snippets
from tests.factories import make_provider

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "name", ["x'; touch /tmp/x; '", "$(id)", "`id`", 'a"b', "a b", "a\\", "é", ""]
)
def test_a_model_name_never_reaches_the_shell(name: str) -> None:
    for _, text in snippets.for_clients(name):
        assert "your-model" in text or "model" not in text
    if name:
        make_provider(models=[name])
    assert snippets.a_model() == ""


def test_a_small_chat_model_is_preferred() -> None:
    make_provider(models=["text-embedding-3-small", "gpt-5", "gpt-5-mini", "whisper"])
    assert snippets.a_model() == "gpt-5-mini"


def test_the_key_is_in_the_snippets_only_when_given() -> None:
    without = " ".join(text for _, text in snippets.for_clients("gpt-5-mini"))
    assert "$POOL_KEY" in without
    given = " ".join(text for _, text in snippets.for_clients("gpt-5-mini", "pp_k"))
    assert "$POOL_KEY" not in given
