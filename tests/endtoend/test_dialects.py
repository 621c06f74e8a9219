"""Every dialect through the real door: paths, lists, bills and what was left behind."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import zstandard

from tests.endtoend.asking import Town
from tests.rig.driver import Outcome
from tests.rig.plain import Reply, call
from tests.rig.stage import open_stage

pytestmark = pytest.mark.process

TEXT = "Tell me about the harbour."
ARN = "arn:aws:bedrock:us-east-1:1:profile/m"
MODELS = {
    "chat-test": ("openai", "/v1"),
    "responses-test": ("responses", "/v1"),
    "claude-test": ("anthropic", "/v1"),
    "gemini-test": ("google", "/v1beta"),
    "llama-test": ("ollama", ""),
}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    directory = tmp_path_factory.mktemp("dialects")
    with open_stage(directory, arguments=["--no-worker"]) as scene:
        origin = scene.upstream.base_url.rpartition("/v1")[0]
        scene.price("*", input_usd="3", output_usd="15")
        for model, (api_format, root) in MODELS.items():
            models = [model, ARN] if api_format == "openai" else [model]
            scene.provider(
                api_format,
                models=models,
                base_url=origin + root,
                api_format=api_format,
            )
        scene.key("client")
        scene.open()
        yield scene


def _chat(model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    messages = [{"role": "user", "content": TEXT}]
    body = {"model": model, "messages": messages, "stream": stream}
    return "/v1/chat/completions", body


def _responses(model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    return "/v1/responses", {"model": model, "input": TEXT, "stream": stream}


def _anthropic(model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    return "/v1/messages", {**_chat(model, stream)[1], "max_tokens": 200}


def _google(model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]}
    return f"/v1beta/models/{model}:{verb}", body


def _ollama(model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    return "/api/chat", _chat(model, stream)[1]


def _bedrock(model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    verb = "converse-stream" if stream else "converse"
    body = {"messages": [{"role": "user", "content": [{"text": TEXT}]}]}
    return f"/model/{model}/{verb}", body


CLIENTS = {
    "openai": _chat,
    "responses": _responses,
    "anthropic": _anthropic,
    "google": _google,
    "ollama": _ollama,
    "bedrock": _bedrock,
}


def ask(town: Town, path: str, body: Any, **options: Any) -> Reply:
    origin = town.product.url.removesuffix("/v1")
    key = options.pop("key", town.keys["client"])
    return call(origin + path, key, body, **options)


def test_every_dialect_reaches_every_vendor_and_the_bill_is_right(town: Town) -> None:
    outcomes = []
    for worded in CLIENTS.values():
        for model in MODELS:
            for stream in (False, True):
                path, body = worded(model, stream)
                reply = ask(town, path, body)
                assert reply.status == 200, (path, model, reply.body)
                outcome = Outcome(model, stream, reply.status)
                outcome.request_id = reply.request_id
                outcome.complete = True
                outcomes.append(outcome)
    report = town.check(outcomes, only=True)
    assert report.is_clean, report
    assert report.served == len(outcomes)
    assert not report.estimated


def test_a_model_with_slashes_and_colons_is_found_in_an_encoded_path(
    town: Town,
) -> None:
    body = _bedrock("", False)[1]
    encoded = ARN.replace(":", "%3A").replace("/", "%2F")
    for root in ("", "/bedrock"):
        for spelling in (encoded, ARN):
            reply = ask(town, f"{root}/model/{spelling}/converse", body)
            assert reply.status == 200, reply.body
    contents = _google("", False)[1]
    reply = ask(town, f"/v1beta/models/{encoded}%3AgenerateContent", contents)
    assert reply.status == 200, reply.body


def _names(reply: Reply) -> set[str]:
    told = reply.json()
    entries = told.get("data") or told.get("models")
    named = [entry.get("id") or entry.get("name") for entry in entries]
    return {name.removeprefix("models/") for name in named}


def test_t135_every_client_gets_the_list_in_its_own_shape(town: Town) -> None:
    expected = {*MODELS, ARN}
    lists = {
        "/v1/models": {},
        "/models": {},
        "/v1/models?limit=1000": {"anthropic-version": "2026-10-21"},
        "/v1/models?pageSize=50": {"x-goog-api-client": "google-genai-sdk/3"},
        "/v1beta/models": {},
        "/api/tags": {},
    }
    for path, headers in lists.items():
        reply = ask(town, path, None, headers=headers)
        assert reply.status == 200, (path, reply.body)
        assert _names(reply) == expected, path
    anthropic = ask(town, "/v1/models", None, headers={"anthropic-version": "1"}).json()
    assert anthropic["has_more"] is False
    assert anthropic["data"][0]["type"] == "model"
    google = ask(town, "/v1/models", None, headers={"x-goog-api-client": "g"}).json()
    assert google["models"][0]["name"].startswith("models/")


@pytest.mark.parametrize("client", list(CLIENTS))
def test_t129_t130_a_refusal_has_the_shape_of_its_path(town: Town, client: str) -> None:
    path, body = CLIENTS[client]("nobody-knows-this", False)
    for key, status in ((None, 401), ("wrong", 401), (town.keys["client"], 404)):
        reply = ask(town, path, body, key=key)
        # AWS has no 401: its clients read a refusal of access.
        assert reply.status in ({403, 401} if status == 401 else {404}), reply.body
        told = reply.json()
        shape = {
            "openai": "error",
            "responses": "error",
            "anthropic": "type",
            "google": "error",
            "ollama": "error",
            "bedrock": "message",
        }[client]
        assert shape in told
        if client == "google":
            assert told["error"]["status"] in ("UNAUTHENTICATED", "NOT_FOUND")
        if client == "anthropic":
            types = ("authentication_error", "not_found_error")
            assert told["error"]["type"] in types
        if client == "bedrock":
            assert reply.headers["x-amzn-errortype"]


def test_t132_t133_probes_and_upgrades_are_answered_at_once(town: Town) -> None:
    for method, path, statuses in (
        ("HEAD", "/", {200}),
        ("GET", "/", {200}),
        ("HEAD", "/v1/messages", {200, 405}),
        ("HEAD", "/v1/responses", {200, 405}),
    ):
        reply = ask(town, path, None, method=method, key=None)
        assert reply.status in statuses, path
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert ask(town, "/v1/responses", None, headers=upgrade).status == 426


def test_t134_paths_pasted_wrong_lead_home(town: Town) -> None:
    path, body = _anthropic("claude-test", False)
    for spelling in (f"/v1{path}", "/messages", f"{path}/", f"/{path}"):
        assert ask(town, spelling, body).status == 200, spelling
    path, body = _google("gemini-test", False)
    for version in ("/v1", "/v1alpha", ""):
        spelling = path.replace("/v1beta", version)
        assert ask(town, spelling, body).status == 200, spelling


def test_the_consoles_own_interface_stays_the_consoles(town: Town) -> None:
    reply = ask(town, "/api/admin/v1/providers", None, key=None)
    assert reply.status in (401, 403)
    assert "x-pool-request-id" not in reply.headers
    unknown = ask(town, "/api/pull", {"model": "x"})
    assert unknown.status == 404
    assert isinstance(unknown.json()["error"], str)


def test_t136_tokens_are_counted_for_every_upstream(town: Town) -> None:
    for model in MODELS:
        path, body = _anthropic(model, False)
        reply = ask(town, f"{path}/count_tokens", body)
        assert reply.status == 200, reply.body
        assert 1 <= reply.json()["input_tokens"] < 100
        path, body = _google(model, False)
        reply = ask(town, path.replace("generateContent", "countTokens"), body)
        assert reply.status == 200, reply.body
        assert 1 <= reply.json()["totalTokens"] < 100


def test_t24_a_body_as_codex_packs_it_is_read(town: Town) -> None:
    path, body = _responses("chat-test", False)
    packed = zstandard.compress(json.dumps(body).encode())
    reply = ask(town, path, packed, headers={"content-encoding": "zstd"})
    assert reply.status == 200, reply.body


def test_what_a_translation_left_behind_is_in_the_ledger(town: Town) -> None:
    path, body = _chat("claude-test", False)
    reply = ask(town, path, {**body, "seed": 7, "logit_bias": {"5": 1}})
    assert reply.status == 200, reply.body
    told = reply.headers["x-pool-loss"]
    assert "seed:drop" in told
    assert "logit_bias:drop" in told
    assert _ledger_losses(town, "claude-test", within_s=5) == told


def _ledger_losses(town: Town, model: str, *, within_s: float) -> str:
    """Return what the ledger says was lost on the way to a model."""
    address = f"file:{town.product.database}?mode=ro"
    query = (
        "select losses from usage_attempt join usage_dimension on model_dim = "
        "usage_dimension.id where value = ? and losses <> ''"
    )
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with closing(sqlite3.connect(address, uri=True, timeout=10)) as connection:
            found = connection.execute(query, [model]).fetchone()
        if found is not None:
            return str(found[0])
        time.sleep(0.1)
    return ""


def test_what_an_upstream_refuses_is_remembered_for_the_next_start(
    town: Town,
) -> None:
    town.upstream.order("chat-test", "400-param-seed+first-1")
    path, body = _chat("chat-test", False)
    reply = ask(town, path, {**body, "seed": 7})
    assert reply.status == 200, reply.body
    assert reply.headers["x-pool-loss"] == "seed:drop"
    file = town.product.data_dir / "run" / "facts.json"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if file.exists() and b'"refusal"' in file.read_bytes():
            break
        time.sleep(0.1)
    kept = [fact for fact in json.loads(file.read_bytes()) if fact["kind"] == "refusal"]
    assert [fact["payload"]["fields"] for fact in kept] == [["seed"]]
