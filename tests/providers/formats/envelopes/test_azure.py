from __future__ import annotations

import json

import pytest

from providers.formats import registry
from providers.formats.base import Target
from providers.formats.envelopes.azure import FORMAT, azure_path
from providers.formats.errors import ErrorDetail

CHAT = registry.get("openai")
CLASSIC = {"api_version": "2024-10-21"}
BODY = b'{ "messages" :[{"role":"user","content":"Hi"}],"x":1e3,"model":"m" }'
FIRST = (
    b'data: {"choices":[],"created":0,"id":"","model":"","object":"",'
    b'"prompt_filter_results":[{"prompt_index":0}]}\n\n'
)
REST = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":"ok"},'
    b'"finish_reason":null,"content_filter_results":{}}]}\n\n'
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)


def target(model="gpt-4o", **options):
    return Target(model=model, options=options)


def test_t17_a_chat_goes_to_its_deployment_with_the_version():
    bridge = registry.bridge("openai", "azure", "gpt-4o")
    sent = bridge.build_request(CHAT.read_request(BODY), target(**CLASSIC))
    assert sent.path == (
        "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    )
    assert sent.body == BODY.replace(b'"m"', b'"gpt-4o"')
    assert FORMAT.auth_headers("0123abcd") == {"api-key": "0123abcd"}


def test_t17_p81_a_first_chunk_without_choices_is_relayed():
    bridge = registry.bridge("openai", "azure", "gpt-4o")
    body = json.loads(BODY) | {
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    request = CHAT.read_request(json.dumps(body).encode())
    sent = bridge.build_request(request, target("m"))
    tap = bridge.open_tap(request, sent, CHAT.open_stream(request, request_id="r"))
    out = tap.feed(FIRST + REST) + tap.eof()
    assert out.endswith(REST)
    assert b"prompt_filter_results" in out
    assert tap.complete


def test_p81_a_first_chunk_without_choices_is_no_fault_when_translated():
    bridge = registry.bridge("ollama", "azure", "gpt-4o")
    ollama = registry.get("ollama")
    request = ollama.read_request(BODY)
    sent = bridge.build_request(request, target(**CLASSIC))
    assert sent.path.startswith("/openai/deployments/gpt-4o/chat/completions?")
    tap = bridge.open_tap(request, sent, ollama.open_stream(request, request_id="r"))
    out = tap.feed(FIRST + REST) + tap.eof()
    said = [json.loads(line) for line in out.splitlines()]
    assert [line["message"]["content"] for line in said] == ["ok", ""]
    assert tap.complete


def test_the_deployment_may_have_a_name_of_its_own():
    bridge = registry.bridge("openai", "azure", "gpt-4o")
    options = {"deployment": "my chat/1", "api_version": "2024-10-21"}
    sent = bridge.build_request(CHAT.read_request(BODY), target(**options))
    assert "/deployments/my%20chat%2F1/chat/completions" in sent.path
    v1 = bridge.build_request(CHAT.read_request(BODY), target(deployment="mine"))
    assert v1.path == "/openai/v1/chat/completions"
    assert json.loads(v1.body)["model"] == "mine"


@pytest.mark.parametrize(
    ("path", "version", "expected"),
    [
        ("/chat/completions", "", "/openai/v1/chat/completions"),
        ("/chat/completions", "v1", "/openai/v1/chat/completions"),
        (
            "/responses",
            "preview",
            "/openai/v1/responses?api-version=preview",
        ),
        (
            "/responses",
            "2025-04-01-preview",
            "/openai/responses?api-version=2025-04-01-preview",
        ),
        (
            "/embeddings?a=b",
            "2024-10-21",
            "/openai/deployments/m/embeddings?a=b&api-version=2024-10-21",
        ),
    ],
)
def test_two_surfaces_have_two_kinds_of_paths(path, version, expected):
    assert azure_path(path, target("m", api_version=version)) == expected


def test_responses_are_relayed_on_the_v1_surface():
    bridge = registry.bridge("responses", "azure", "gpt-5-codex")
    client = registry.get("responses")
    request = client.read_request(b'{"model":"m","input":"Hi","x":1e3}')
    sent = bridge.build_request(request, target("gpt-5-codex"))
    assert sent.path == "/openai/v1/responses"
    assert sent.body == b'{"model":"gpt-5-codex","input":"Hi","x":1e3}'


def test_a_model_with_responses_alone_is_asked_in_them():
    assert FORMAT.relay("openai", "chat", "gpt-5-codex") is None
    assert FORMAT.codec("gpt-5-codex").id == "responses"
    assert FORMAT.codec("gpt-4o").id == "openai"
    assert FORMAT.relay("anthropic", "chat", "gpt-4o") is None
    bridge = registry.bridge("openai", "azure", "gpt-5-codex")
    sent = bridge.build_request(CHAT.read_request(BODY), target("gpt-5-codex"))
    assert sent.path == "/openai/v1/responses"


def test_a_token_of_entra_is_a_bearer():
    token = "eyJ0eXAi.eyJhdWQi.c2ln"
    assert FORMAT.auth_headers(token) == {"authorization": f"Bearer {token}"}


def test_paths_below_a_resource():
    assert FORMAT.upstream_path("models", model="", stream=False) == (
        "/openai/v1/models"
    )
    assert FORMAT.upstream_path("chat", model="m", stream=True) == (
        "/openai/v1/chat/completions"
    )
    assert FORMAT.routes == ()


def test_a_filtered_prompt_reads_as_what_it_is():
    body = (
        b'{"error":{"message":"filtered","type":null,"param":"prompt",'
        b'"code":"content_filter","status":400,"innererror":{"code":"X"}}}'
    )
    detail = FORMAT.read_error(400, body)
    assert (detail.message, detail.code) == ("filtered", "content_filter")


def test_what_no_client_speaks_is_worded_as_chat():
    request = FORMAT.read_request(BODY)
    assert request.dialect == "openai"
    assert FORMAT.open_stream(request, request_id="r").keepalive()
    status, _ = FORMAT.build_error(400, ErrorDetail(message="x"), request_id="r")
    assert status == 400
    assert FORMAT.models_list(["a"]) == CHAT.models_list(["a"])
    assert FORMAT.model_body("a") == CHAT.model_body("a")
