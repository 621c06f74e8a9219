"""Searches and code that vendors run cross to other vendors, and no further."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from tests.providers.formats.fit.made import (
    fitted,
    raw,
    request,
    tool,
    words,
)

LONG = "x" * 90
GRAMMAR = raw({"type": "grammar", "syntax": "lark", "definition": "start: /.+/"})


@pytest.mark.parametrize(
    ("to", "model", "dialect", "kind", "payload"),
    [
        ("google", "", "responses", "web_search", {"googleSearch": {}}),
        ("google", "", "anthropic", "web_search_20260209", {"googleSearch": {}}),
        ("responses", "", "google", "googleSearch", {"type": "web_search"}),
        (
            "anthropic",
            "",
            "responses",
            "web_search_preview",
            {"type": "web_search_20250305", "name": "web_search"},
        ),
        ("openai", "gpt-4o-search-preview", "responses", "web_search", {}),
    ],
    ids=["t74-rs-gm", "t74-an-gm", "t74-gm-rs", "t74-rs-an", "t74-rs-ch-search"],
)
def test_web_search_crosses_between_vendors(to, model, dialect, kind, payload):
    search = tool(kind, kind="server", type=kind, dialect=dialect, payload=raw({}))
    done = fitted(request(tools=(search,), dialect=dialect), to, model)
    (made,) = done.request.tools
    assert (made.kind, made.type) == ("server", "web_search")
    assert msgspec.json.decode(made.payload) == payload
    assert not done.losses


@pytest.mark.parametrize(
    ("to", "kind", "payload"),
    [
        (
            "responses",
            "code_execution_20250825",
            {"type": "code_interpreter", "container": {"type": "auto"}},
        ),
        ("google", "code_interpreter", {"codeExecution": {}}),
    ],
)
def test_code_execution_crosses_between_vendors(to, kind, payload):
    given = tool("code", kind="server", type=kind, dialect="other")
    (made,) = fitted(request(tools=(given,)), to).request.tools
    assert msgspec.json.decode(made.payload) == payload
    done = fitted(request(tools=(given,)), "anthropic")
    assert words(done) == {f"tools.{kind}:drop"}


def test_search_that_stays_at_its_vendor_does_not_become_one_of_the_web():
    payload = raw({"type": "web_search", "external_web_access": False})
    search = tool(
        "web_search",
        kind="server",
        type="web_search",
        dialect="responses",
        payload=payload,
    )
    asked = request(tools=(search,), dialect="responses")
    assert words(fitted(asked, "anthropic")) == {"tools.web_search:drop"}
    assert fitted(asked, "responses").request.tools == (search,)


def test_t74_bounds_of_a_search_are_kept_where_there_are_words():
    payload = raw(
        {
            "type": "web_search",
            "filters": {"allowed_domains": ["a.example"]},
            "user_location": {"type": "approximate", "city": "Bonn"},
            "search_context_size": "low",
        }
    )
    search = tool(
        "web_search",
        kind="server",
        type="web_search",
        dialect="responses",
        payload=payload,
    )
    done = fitted(request(tools=(search,), dialect="responses"))
    made = msgspec.json.decode(done.request.tools[0].payload)
    assert made["allowed_domains"] == ["a.example"]
    assert made["user_location"]["city"] == "Bonn"
    assert words(done) == {"tools.web_search.search_context_size:drop"}
    place = raw(
        {"user_location": {"type": "approximate", "approximate": {"city": "B"}}}
    )
    chat = tool("web_search", kind="server", type="web_search", dialect="openai")
    chat = replace(chat, payload=place)
    made = fitted(request(tools=(chat,)), "responses").request.tools[0].payload
    assert msgspec.json.decode(made) == {
        "type": "web_search",
        "user_location": {"type": "approximate", "city": "B"},
    }
