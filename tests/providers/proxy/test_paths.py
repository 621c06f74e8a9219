"""Which path leads to which dialect, whatever users paste."""

from __future__ import annotations

import pytest

from providers.formats.base import Route
from providers.formats.openai_chat.dialect import OpenAIChat
from providers.proxy.paths import RouteTable


class _Wire(OpenAIChat):
    def __init__(self, format_id: str, *routes: Route) -> None:
        self.id = format_id
        self.routes = routes


def _gemini(root: str) -> tuple[Route, ...]:
    models = f"{root}/models"
    return (
        Route("POST", f"{models}/{{model}}:generateContent", "chat"),
        Route("POST", f"{models}/{{model}}:streamGenerateContent", "chat", True),
        Route("GET", models, "models"),
    )


TABLE = RouteTable(
    (
        OpenAIChat(),
        _Wire("responses", Route("POST", "/v1/responses", "chat")),
        _Wire(
            "anthropic",
            Route("POST", "/v1/messages", "chat"),
            Route("POST", "/v1/messages/count_tokens", "count_tokens"),
        ),
        _Wire("google", *_gemini("/v1beta")),
        _Wire(
            "ollama",
            Route("POST", "/api/chat", "chat"),
            Route("GET", "/api/tags", "models"),
            Route("GET", "/", "local"),
        ),
        _Wire(
            "bedrock",
            Route("POST", "/model/{model}/converse", "chat"),
            Route("POST", "/model/{model}/converse-stream", "chat", True),
        ),
    )
)


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        ("/v1/chat/completions", "openai"),
        ("/v1/v1/chat/completions", "openai"),
        ("/chat/completions", "openai"),
        ("/v1/chat/completions/", "openai"),
        ("//v1//chat/completions", "openai"),
        ("/api/v1/chat/completions", "openai"),
        ("/openai/v1/chat/completions", "openai"),
        ("/v1beta/openai/chat/completions", "openai"),
        ("/v1/messages", "anthropic"),
        ("/v1/v1/messages", "anthropic"),
        ("/messages", "anthropic"),
        ("/anthropic/v1/messages", "anthropic"),
        ("/v1/messages/count_tokens/", "anthropic"),
        ("/responses", "responses"),
        ("/v1beta/models/gemini-2.5-pro:generateContent", "google"),
        ("/v1/models/gemini-2.5-pro:generateContent", "google"),
        ("/v1alpha/models/gemini-2.5-pro:generateContent", "google"),
        ("/models/gemini-2.5-pro:generateContent", "google"),
        ("/v1/v1beta/models/gemini-2.5-pro:generateContent", "google"),
        ("/api/chat", "ollama"),
        ("/v1/api/chat", "ollama"),
        ("/api/chat/", "ollama"),
        ("/bedrock/model/anthropic.claude/converse", "bedrock"),
    ],
)
def test_t134_a_path_pasted_wrong_still_leads_home(path: str, wire: str) -> None:
    found = TABLE.find("POST", path)
    assert found is not None, path
    assert found.wire.id == wire
    assert not found.allowed


@pytest.mark.parametrize(
    ("path", "model", "is_stream"),
    [
        ("/v1beta/models/a/b/c:generateContent", "a/b/c", False),
        ("/v1beta/models/m:streamGenerateContent", "m", True),
        ("/v1beta/models/ft:m:x:generateContent", "ft:m:x", False),
        ("/model/arn:aws:bedrock:us-east-1:1:profile/p/converse", None, False),
        ("/model/m/converse-stream", "m", True),
    ],
)
def test_a_model_is_found_in_front_of_what_the_path_asks(
    path: str, model: str | None, is_stream: bool
) -> None:
    found = TABLE.find("POST", path)
    assert found is not None
    assert found.is_stream is is_stream
    wanted = model or "arn:aws:bedrock:us-east-1:1:profile/p"
    assert found.path_model == wanted


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/models/",
        "/providers/",
        "/api/admin/v1/providers",
        "/api/admin/v1/chat",
        "/accounts/login/",
        "/keys",
        "/static/app.css",
        "/responsesx",
    ],
)
def test_the_consoles_paths_stay_the_consoles(path: str) -> None:
    assert TABLE.find("GET", path) is None
    assert not TABLE.is_proxy_path(path)


def test_a_known_path_under_another_method_says_which() -> None:
    found = TABLE.find("HEAD", "/v1/messages")
    assert found is not None
    assert found.allowed == ("POST",)
    assert found.wire.id == "anthropic"
    other = TABLE.find("GET", "/model/m/converse")
    assert other is not None
    assert other.allowed == ("POST",)


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        ("/v1/nothing", "openai"),
        ("/v1/messages/batches", "anthropic"),
        ("/v1/responses/x/cancel", "responses"),
        ("/v1beta/files", "google"),
        ("/v1internal:loadCodeAssist", "google"),
        ("/api/pull", "ollama"),
        ("/model/m/unknown", "bedrock"),
    ],
)
def test_t129_a_path_nobody_serves_is_told_in_the_words_of_its_root(
    path: str, wire: str
) -> None:
    assert TABLE.find("POST", path) is None
    assert TABLE.is_proxy_path(path)
    assert TABLE.speaker(path).id == wire


@pytest.mark.parametrize(
    ("fields", "query", "wire"),
    [
        ({}, b"", "openai"),
        ({b"anthropic-version": b"2026-10-21"}, b"limit=1000", "anthropic"),
        ({b"x-goog-api-key": b"k"}, b"", "google"),
        ({b"x-goog-api-client": b"genai"}, b"", "google"),
        ({}, b"key=k", "google"),
        ({}, b"pageSize=2&key=k", "google"),
    ],
)
def test_t135_a_list_of_models_comes_in_the_callers_own_shape(
    fields: dict[bytes, bytes], query: bytes, wire: str
) -> None:
    for path in ("/v1/models", "/models", "/v1/models/gpt-x"):
        found = TABLE.find("GET", path)
        assert found is not None
        assert TABLE.lister(found, fields, query).id == wire


def test_t135_a_path_of_one_dialect_only_stays_with_it() -> None:
    for path, wire in (("/v1beta/models", "google"), ("/api/tags", "ollama")):
        found = TABLE.find("GET", path)
        assert found is not None
        headers = {b"anthropic-version": b"1"}
        assert TABLE.lister(found, headers, b"").id == wire
