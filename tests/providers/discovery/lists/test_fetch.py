"""Every shape of a model list, asked of a server that answers in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from poolsite.secret_type import Secret
from pricing.listing import ListedModel
from providers.discovery.lists.fetch import (
    Listed,
    ListError,
    NotListableError,
    Source,
    fetch,
)
from tests.rig.ports import closed_port
from tests.vendors import lists
from tests.vendors.server import Asked, Reply, Vendor

SECRET = "sk-list-0123456789abcdef"


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as running:
        yield running


def ask(vendor: Vendor, path: str = "/v1", **values: Any) -> Listed:
    known: dict[str, Any] = {
        "api_format": "openai",
        "secret": Secret(SECRET),
        "secret_origin": vendor.root,
        "allow_private": True,
        **values,
    }
    if known["secret"] is None:
        known["secret_origin"] = None
    return fetch(Source(vendor.root + path, **known), timeout_s=5)


def by_id(listed: Listed) -> dict[str, ListedModel]:
    return {each.id: each for each in listed.models}


# openai-like


@pytest.mark.parametrize("version", ["/v1", "/v4", "/api/v3", "/v1beta"])
def test_openai_like_base_with_a_version_lists_below_it(
    vendor: Vendor, version: str
) -> None:
    vendor.on("GET", f"{version}/models", lists.openai("m-2", "m-1"))
    listed = ask(vendor, version)
    assert listed.shape == "openai"
    assert [each.id for each in listed.models] == ["m-2", "m-1"]
    assert vendor.paths() == [f"GET {version}/models"]
    assert vendor.last.headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
def test_openai_like_base_without_a_version_tries_two_addresses(
    vendor: Vendor, path: str
) -> None:
    vendor.on("GET", path, lists.openai("m-1"))
    assert [each.id for each in ask(vendor, "").models] == ["m-1"]
    tried = ["GET /v1/models", "GET /models"]
    assert vendor.paths() == tried[: tried.index(f"GET {path}") + 1]


@pytest.mark.parametrize("status", [401, 403])
def test_openai_like_refused_key_is_tried_once_without(
    vendor: Vendor, status: int
) -> None:
    def answer(asked: Asked) -> Reply:
        has_key = "authorization" in asked.headers
        return Reply({}, status) if has_key else Reply(lists.openai("m-1"))

    vendor.on("GET", "/v1/models", answer)
    assert [each.id for each in ask(vendor).models] == ["m-1"]
    assert len(vendor.asked) == 2


def test_openai_like_key_refused_both_ways_is_an_error_without_the_key(
    vendor: Vendor,
) -> None:
    vendor.on("GET", "/v1/models", {"error": SECRET}, status=401)
    with pytest.raises(ListError, match=r"refused the key \(401\)") as caught:
        ask(vendor)
    assert SECRET not in str(caught.value)


def test_openai_like_web_page_is_an_error(vendor: Vendor) -> None:
    vendor.on("GET", "/v1/models", Reply(b"<!doctype html><p>Hi</p>"))
    with pytest.raises(ListError, match="web page"):
        ask(vendor)


@pytest.mark.parametrize(
    "body",
    [lists.openai("m-1")["data"], {"models": lists.openai("m-1")["data"]}],
    ids=["bare list", "models"],
)
def test_openai_like_other_wrappings_are_read(vendor: Vendor, body: Any) -> None:
    vendor.on("GET", "/v1/models", body)
    assert [each.id for each in ask(vendor).models] == ["m-1"]


def test_openrouter_states_name_limits_prices_and_parameters(vendor: Vendor) -> None:
    vendor.on("GET", "/api/v1/models", lists.openrouter())
    found = by_id(ask(vendor, "/api/v1"))
    paid = found["anthropic/claude-sonnet-4.5"]
    assert paid.name == "Anthropic: Claude Sonnet 4.5"
    assert (paid.context_window, paid.max_output) == (1_000_000, 64_000)
    assert paid.price is not None
    assert (paid.price.input, paid.price.output) == (3_000_000_000, 15_000_000_000)
    assert (paid.price.cache_read, paid.price.cache_write) == (
        300_000_000,
        3_750_000_000,
    )
    assert paid.price.per_request is None
    assert set(paid.capabilities) == {
        "tools", "reasoning", "temperature", "vision", "pdf",
    }  # fmt: skip
    assert {"parallel_tools", "json_schema", "audio"} <= set(paid.lacks)
    drawn = found["google/gemini-2.5-flash-image"]
    assert (drawn.kind, drawn.price) == ("image", None)


def test_openrouter_free_keeps_free_ids_and_zero_prices(vendor: Vendor) -> None:
    body = lists.openrouter()
    body["data"].append({"id": "x/gift", "pricing": {"prompt": "0", "completion": "0"}})
    vendor.on("GET", "/api/v1/models", body)
    listed = ask(vendor, "/api/v1", catalogue_id="openrouter-free")
    assert [each.id for each in listed.models] == [
        "deepseek/deepseek-r1:free", "x/gift",
    ]  # fmt: skip


# The vendors' own


def test_anthropic_list_is_paged(vendor: Vendor) -> None:
    pages = (["claude-opus-4-5", "claude-sonnet-4-5"], ["claude-haiku-4-5"])
    lists.anthropic_pages(vendor, *pages, path="/v1/models")
    listed = ask(vendor, api_format="anthropic")
    assert [each.id for each in listed.models] == [*pages[0], *pages[1]]
    assert listed.models[0].released == "2025-09-29"
    assert vendor.asked[0].query == {"limit": "1000"}
    assert vendor.last.query == {"limit": "1000", "after_id": "claude-sonnet-4-5"}
    assert vendor.last.headers["x-api-key"] == SECRET


def test_anthropic_page_that_repeats_itself_ends_the_list(vendor: Vendor) -> None:
    page = {"data": [{"id": "a"}], "has_more": True, "last_id": "a"}
    vendor.on("GET", "/v1/models", page)
    assert [m.id for m in ask(vendor, "", api_format="anthropic").models] == ["a"]
    assert len(vendor.asked) == 2


def test_google_list_is_paged_and_keeps_what_answers_or_embeds(vendor: Vendor) -> None:
    first = [
        lists.google_model("gemini-2.5-pro", "generateContent", thinking=True),
        lists.google_model("imagen-4", "predict"),
    ]
    second = [lists.google_model("gemini-embedding-001", "embedContent")]
    lists.google_pages(vendor, first, second, path="/v1beta/models")
    found = by_id(ask(vendor, "", api_format="google"))
    assert list(found) == ["gemini-2.5-pro", "gemini-embedding-001"]
    pro = found["gemini-2.5-pro"]
    assert (pro.context_window, pro.max_output) == (1_048_576, 65_536)
    assert pro.capabilities == ("reasoning",)
    assert found["gemini-embedding-001"].kind == "embedding"
    assert vendor.asked[0].query == {"pageSize": "1000"}
    assert vendor.last.headers["x-goog-api-key"] == SECRET
    assert all(SECRET not in str(asked.query) for asked in vendor.asked)


def test_ollama_tags_are_shown_one_by_one(vendor: Vendor) -> None:
    shows: dict[str, dict[str, Any] | None] = {
        "llama3.2:3b": {
            "capabilities": ["completion", "tools"],
            "model_info": {"llama.context_length": 131_072},
        },
        "nomic-embed-text": {"capabilities": ["embedding"]},
        "broken:1b": None,
    }
    lists.ollama(vendor, shows)
    found = by_id(ask(vendor, "", api_format="ollama", secret=None))
    assert list(found) == list(shows)
    llama = found["llama3.2:3b"]
    assert (llama.context_window, llama.capabilities) == (131_072, ("tools",))
    assert "vision" in llama.lacks
    assert found["nomic-embed-text"].kind == "embedding"
    assert found["broken:1b"].context_window is None


def test_copilot_list_keeps_chat_that_is_not_disabled(vendor: Vendor) -> None:
    vendor.on("GET", "/models", lists.copilot())
    listed = ask(vendor, "", api_format="copilot")
    assert [each.id for each in listed.models] == ["gpt-4.1"]
    model = listed.models[0]
    assert (model.context_window, model.max_output) == (128_000, 16_384)
    assert (model.capabilities, model.lacks) == (("tools",), ("parallel_tools",))
    assert "copilot-integration-id" in vendor.last.headers


def test_cloudcode_list_leaves_internal_models_out(vendor: Vendor) -> None:
    vendor.on("POST", "/v1internal:fetchAvailableModels", lists.cloudcode())
    listed = ask(vendor, "", api_format="cloudcode", options={"project": "p-1"})
    assert [each.id for each in listed.models] == ["gemini-3-pro"]
    assert vendor.last.json() == {"project": "p-1"}


def test_litellm_list_states_modes_limits_and_prices(vendor: Vendor) -> None:
    vendor.on("GET", "/model/info", lists.litellm())
    found = by_id(ask(vendor, catalogue_id="litellm"))
    chat = found["house-model"]
    assert chat.price is not None
    assert (chat.price.input, chat.price.output) == (2_500_000_000, 10_000_000_000)
    assert (chat.capabilities, chat.lacks) == (("tools",), ("vision",))
    assert found["house-embed"].kind == "embedding"


@pytest.mark.parametrize("catalogue_id", ["lmstudio", "lm-studio"])
def test_lm_studio_list_states_types(vendor: Vendor, catalogue_id: str) -> None:
    vendor.on("GET", "/api/v0/models", lists.lmstudio())
    found = by_id(ask(vendor, secret=None, catalogue_id=catalogue_id))
    assert found["qwen3-vl"].capabilities == ("vision",)
    assert found["qwen3"].capabilities == ("tools",)
    assert found["nomic-embed"].kind == "embedding"
    assert found["nomic-embed"].context_window == 2048


def test_azure_lists_deployments_that_are_ready(vendor: Vendor) -> None:
    body = lists.azure(
        ("prod-4o", "gpt-4o", "succeeded"), ("next", "gpt-5", "creating")
    )
    vendor.on("GET", "/openai/deployments", body)
    listed = ask(vendor, "", api_format="azure")
    assert [(each.id, each.family) for each in listed.models] == [("prod-4o", "gpt-4o")]
    assert vendor.last.query == {"api-version": "2023-03-15-preview"}
    assert vendor.last.headers["api-key"] == SECRET


def test_azure_without_deployments_lists_models(vendor: Vendor) -> None:
    vendor.on("GET", "/openai/models", lists.azure(("gpt-4o", "gpt-4o", "succeeded")))
    options = {"api_version": "2025-04-01"}
    listed = ask(vendor, "", api_format="azure", options=options)
    assert [each.id for each in listed.models] == ["gpt-4o"]
    assert vendor.last.query == {"api-version": "2025-04-01"}


@pytest.mark.parametrize(
    "values",
    [
        {"api_format": "codex"},
        {"api_format": "bedrock"},
        {"api_format": "vertex"},
        {"api_format": "claude-cli"},
        {"catalogue_id": "minimax"},
        {"api_format": "azure", "auth_scheme": "entra"},
    ],
    ids=lambda values: "-".join(values.values()),
)
def test_provider_without_a_list_is_not_asked(
    vendor: Vendor, values: dict[str, str]
) -> None:
    with pytest.raises(NotListableError):
        ask(vendor, **values)
    assert vendor.asked == []


# Custom providers


@pytest.mark.parametrize("shape", ["openai", "ollama", "litellm"])
def test_custom_provider_is_tried_as_openai_then_ollama_then_litellm(
    vendor: Vendor, shape: str
) -> None:
    if shape == "openai":
        vendor.on("GET", "/v1/models", lists.openai("m"))
    elif shape == "ollama":
        lists.ollama(vendor, {"m": {}})
    else:
        vendor.on("GET", "/model/info", lists.litellm())
    listed = ask(vendor, "", is_custom=True)
    assert listed.shape == shape
    assert listed.models


def test_custom_provider_with_no_list_says_what_the_first_shape_met(
    vendor: Vendor,
) -> None:
    with pytest.raises(ListError, match="no list of models at this address"):
        ask(vendor, is_custom=True)


# What must not happen


def test_secret_goes_to_its_own_origin_only(vendor: Vendor) -> None:
    with pytest.raises(ListError):
        ask(vendor, secret_origin="https://api.elsewhere.example:443")
    assert vendor.asked == []


def test_list_is_bounded_and_hostile_names_are_left_out(vendor: Vendor) -> None:
    names = [f"m-{n}" for n in range(5200)]
    body = lists.openai("", "x" * 201, "a\x00b", "\ud800", *names, "m-1")
    body["data"] += [None, 7, {"id": {"a": 1}}, {"id": "<b>bold</b>"}]
    vendor.on("GET", "/v1/models", body)
    listed = ask(vendor)
    assert len(listed.models) == 5000
    assert listed.models[0].id == "m-0"


def test_odd_values_of_a_list_are_left_out(vendor: Vendor) -> None:
    body = lists.openrouter()
    body["data"][0] |= {
        "context_length": 10**400,
        "pricing": {"prompt": "9" * 25, "completion": 10**400},
        "supported_parameters": ["tools", "a\x00b", "\ud800"],
    }
    vendor.on("GET", "/v1/models", body)
    model = ask(vendor).models[0]
    assert model.context_window == 1_000_000  # of its best host
    assert model.price is None or model.price.input is None
    assert "a\x00b" not in repr(model)


def test_deployment_with_an_odd_state_is_not_ready(vendor: Vendor) -> None:
    body = {"data": [{"id": "a", "status": ["succeeded"]}, {"id": "b", "status": {}}]}
    vendor.on("GET", "/openai/deployments", body)
    assert ask(vendor, "", api_format="azure").models == []


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"{}", b'"x"', b"[" * 100_000, b'{"data": 7}', b"\xff\xfe"],
    ids=["nothing", "null", "empty", "text", "deep", "number", "no text"],
)
def test_what_is_no_list_is_an_error(vendor: Vendor, body: bytes) -> None:
    vendor.on("GET", "/v1/models", Reply(body))
    with pytest.raises(ListError):
        ask(vendor)


def test_private_address_is_refused_unless_allowed(vendor: Vendor) -> None:
    with pytest.raises(ListError):
        ask(vendor, allow_private=False)
    assert vendor.asked == []


def test_dead_address_is_asked_once() -> None:
    source = Source(
        f"http://127.0.0.1:{closed_port()}",
        "openai",
        allow_private=True,
        is_custom=True,
    )
    with pytest.raises(ListError, match="Nothing answers"):
        fetch(source, timeout_s=5)
