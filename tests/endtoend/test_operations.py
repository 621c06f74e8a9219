"""What is no chat, through the real door: every client's dialect, every vendor's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ollama
import pytest
from google import genai
from google.genai import types
from openai import OpenAI

from tests.endtoend.asking import Town
from tests.rig.plain import call
from tests.rig.stage import open_stage
from tests.upstream.dialects.embeddings import vector

pytestmark = pytest.mark.process

MODELS = {
    "openai-embed": ("openai", "/v1"),
    "google-embed": ("google", "/v1beta"),
    "ollama-embed": ("ollama", ""),
}
TEXTS = ["harbour", "bridge", "tower"]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    directory = tmp_path_factory.mktemp("operations")
    with open_stage(directory, arguments=["--no-worker"]) as scene:
        origin = scene.upstream.base_url.rpartition("/v1")[0]
        scene.price("*", input_usd="3", output_usd="15")
        for model, (api_format, root) in MODELS.items():
            scene.provider(
                api_format,
                models=[model],
                base_url=origin + root,
                api_format=api_format,
            )
        scene.provider("claude", models=["claude-test"], api_format="anthropic")
        scene.key("client")
        scene.open()
        yield scene


def expected() -> list[list[float]]:
    """Return what Gemini and Ollama answer, to the last bit."""
    return [vector(text) for text in TEXTS]


def openai_vectors(town: Town, model: str, encoding: Any) -> list[list[float]]:
    with OpenAI(base_url=town.product.url, api_key=town.keys["client"]) as client:
        asked: dict[str, Any] = {"encoding_format": encoding} if encoding else {}
        made = client.embeddings.create(model=model, input=TEXTS, **asked)
    assert [datum.index for datum in made.data] == [0, 1, 2]
    assert made.usage.prompt_tokens > 0
    return [datum.embedding for datum in made.data]


def google_vectors(town: Town, model: str) -> list[list[float]]:
    options = types.HttpOptions(base_url=town.product.url.removesuffix("/v1"))
    client = genai.Client(api_key=town.keys["client"], http_options=options)
    contents: Any = TEXTS
    made = client.models.embed_content(model=model, contents=contents)
    client.close()
    assert made.embeddings is not None
    return [list(each.values or ()) for each in made.embeddings]


def ollama_vectors(town: Town, model: str) -> list[list[float]]:
    headers = {"authorization": f"Bearer {town.keys['client']}"}
    host = town.product.url.removesuffix("/v1")
    client = ollama.Client(host=host, headers=headers)
    made = client.embed(model=model, input=TEXTS)
    client._client.close()
    return [list(row) for row in made.embeddings]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", MODELS)
def test_t108_t149_t150_every_sdk_embeds_with_every_vendor(
    town: Town, model: str
) -> None:
    told = [
        openai_vectors(town, model, None),
        openai_vectors(town, model, "float"),
        google_vectors(town, model),
        ollama_vectors(town, model),
    ]
    assert all(len(rows) == 3 for rows in told)
    if model != "openai-embed":
        assert told == [expected()] * 4
    else:
        assert [[row[0] for row in rows] for rows in told] == [[0.0, 1.0, 2.0]] * 4


def test_t134_paths_pasted_wrong_lead_home(town: Town) -> None:
    root = town.product.url.removesuffix("/v1")
    body = {"model": "openai-embed", "input": "a"}
    for path in ("/v1/v1/embeddings", "/embeddings", "/openai/v1/embeddings"):
        assert call(root + path, town.keys["client"], body).status == 200, path


def test_t106_claude_completes(town: Town) -> None:
    body = {"model": "claude-test", "prompt": "Once", "max_tokens": 50}
    url = town.product.url + "/completions"
    reply = call(url, town.keys["client"], body)
    assert reply.status == 200
    assert reply.json()["object"] == "text_completion"
    assert reply.json()["choices"][0]["text"]
    streamed = call(url, town.keys["client"], {**body, "stream": True})
    assert b'"object":"text_completion"' in streamed.body
    assert streamed.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("operation", ["embeddings", "moderations", "audio/speech"])
def test_a_vendor_that_has_it_not_is_told_of(town: Town, operation: str) -> None:
    body = {"model": "claude-test", "input": "a"}
    reply = call(f"{town.product.url}/{operation}", town.keys["client"], body)
    assert reply.status in (400, 404, 501, 503)
    assert reply.error["message"]


def test_a_ranking_is_the_superset(town: Town) -> None:
    body = {"model": "openai-embed", "query": "q", "documents": ["a", "b", "c"]}
    reply = call(town.product.url + "/rerank", town.keys["client"], body)
    told = reply.json()
    assert [each["index"] for each in told["results"]] == [2, 1, 0]
    assert told["meta"]["billed_units"] == {"search_units": 1}
    assert "total_tokens" in told["usage"]
