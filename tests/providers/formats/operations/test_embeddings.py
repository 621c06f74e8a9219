"""T108: vectors keep their values, their order and the encoding that was asked for."""

from __future__ import annotations

import base64
import json
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import Arrival, FormatError
from providers.formats.operations import vectors
from tests.providers.formats.operations.support import Way, asked

VALUES = [[0.1, -2.5, 3e-9], [1.0, 0.0, -0.0], [5.5, 6.25, 7.125]]
USAGE = {"prompt_tokens": 6, "total_tokens": 6}
SINGLES = [list(struct.unpack("<3f", struct.pack("<3f", *row))) for row in VALUES]
PACKED = [base64.b64encode(struct.pack("<3f", *row)).decode() for row in VALUES]


def openai_answer(rows, order=(0, 1, 2)):
    data = [
        {"object": "embedding", "index": index, "embedding": rows[index]}
        for index in order
    ]
    return {"object": "list", "data": data, "model": "up", "usage": USAGE}


def of(told):
    return [datum["embedding"] for datum in told["data"]]


def google(method="batchEmbedContents", **body):
    arrival = Arrival(
        op="embeddings", path=f"/v1beta/models/house:{method}", path_model="house"
    )
    return registry.get("google").read_request(json.dumps(body).encode(), arrival)


def ollama(path="/api/embed", **body):
    arrival = Arrival(op="embeddings", path=path)
    data = json.dumps({"model": "house", **body}).encode()
    return registry.get("ollama").read_request(data, arrival)


BATCH = [{"model": "models/house", "content": {"parts": [{"text": t}]}} for t in "abc"]
ANSWERS = {
    "openai": openai_answer(VALUES, (2, 0, 1)),
    "azure": openai_answer(VALUES),
    "google": {"embeddings": [{"values": row} for row in VALUES]},
    "ollama": {"model": "up", "embeddings": VALUES, "prompt_eval_count": 6},
}
CLIENTS = {
    "openai": lambda: asked("embeddings", input=list("abc")),
    "openai-base64": lambda: asked(
        "embeddings", input=list("abc"), encoding_format="base64"
    ),
    "google": lambda: google(requests=BATCH),
    "ollama": lambda: ollama(input=list("abc")),
}


@pytest.mark.parametrize("upstream", ANSWERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_t108_three_texts_in_every_dialect_both_ways(client, upstream) -> None:
    request = CLIENTS[client]()
    way = Way(request, upstream)
    told = way.told(ANSWERS[upstream])
    if client == "google":
        assert [each["values"] for each in told["embeddings"]] == VALUES
    elif client == "ollama":
        assert told["embeddings"] == VALUES
        assert told["model"] == "house"
    elif client == "openai-base64":
        assert of(told) == PACKED
    else:
        assert of(told) == VALUES
        assert [datum["index"] for datum in told["data"]] == [0, 1, 2]
        assert told["model"] == "house"
    usage = way.back(ANSWERS[upstream]).usage
    assert usage == (None if upstream == "google" else TokenUsage(input_tokens=6))


def test_t108_base64_where_numbers_were_asked_for() -> None:
    told = Way(asked("embeddings", input=list("abc"))).told(openai_answer(PACKED))
    assert of(told) == SINGLES
    same = asked("embeddings", input=list("abc"), encoding_format="base64")
    answer = json.dumps(openai_answer(PACKED)).encode()
    assert Way(same).back(answer).body == answer.replace(b'"up"', b'"house"')


def test_p113_an_unknown_encoding_is_the_upstreams_matter() -> None:
    request = asked("embeddings", input="a", encoding_format="binary")
    assert of(Way(request).told(openai_answer(PACKED))) == PACKED


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_t108_every_single_survives_both_ways(numbers) -> None:
    raw = msgspec.Raw(msgspec.json.encode(numbers))
    packed = vectors.packed(raw)
    assert msgspec.json.decode(vectors.listed(msgspec.Raw(packed))) == numbers


@pytest.mark.parametrize("odd", ['"???"', '"AAA"', '"AAAA"', "3", "[1e300]", "{}"])
def test_what_is_no_vector_is_an_error(odd) -> None:
    body = b'{"data":[{"embedding":%b}]}' % odd.encode()
    packed = asked("embeddings", input="a", encoding_format="base64")
    listed = asked("embeddings", input="a")
    errors = [Way(each).back(body).error for each in (packed, listed)]
    assert any(errors)


@pytest.mark.parametrize("upstream", ["openai", "google", "ollama"])
def test_p113_a_large_batch_of_numbers_is_no_crowd(upstream) -> None:
    count, size = 400, 1_536
    row = [0.125] * size
    request = asked("embeddings", input=["x"] * count, encoding_format="base64")
    rows = [row] * count
    answers = {
        "openai": {"data": [{"index": i, "embedding": row} for i in range(count)]},
        "google": {"embeddings": [{"values": row} for row in rows]},
        "ollama": {"model": "up", "embeddings": rows, "prompt_eval_count": 6},
    }
    data = of(Way(request, upstream).told(answers[upstream]))
    assert len(data) == count
    assert struct.unpack(f"<{size}f", base64.b64decode(data[-1])) == tuple(row)
    back = Way(ollama(input=["x"] * count), "openai").told(answers["openai"])
    assert back["embeddings"][-1] == row


def test_an_upstream_that_forgets_a_text_is_an_error() -> None:
    meta = Way(CLIENTS["ollama"]()).back(openai_answer(VALUES, (0, 1)))
    assert meta.error is not None
    assert Way(CLIENTS["openai"](), "google").back({"embeddings": 3}).error
    assert Way(CLIENTS["openai"](), "google").back({}).error
    assert Way(CLIENTS["openai"](), "ollama").back({"embeddings": 3}).error
    assert Way(CLIENTS["ollama"](), "openai").back({"data": 3}).error


def test_a_request_is_worded_as_the_vendors_own_client_would() -> None:
    request = asked("embeddings", input=["a", "b"], dimensions=5)
    way = Way(request, "google")
    assert way.sent.path == "/models/up:batchEmbedContents"
    assert way.body["requests"][1] == {
        "model": "models/up",
        "content": {"parts": [{"text": "b"}]},
        "outputDimensionality": 5,
    }
    way = Way(request, "ollama")
    assert way.sent.path == "/api/embed"
    assert way.body == {"model": "up", "input": ["a", "b"], "dimensions": 5}
    way = Way(ollama(input="a", dimensions=5, keep_alive="5m"), "azure", "dep")
    assert way.sent.path == "/openai/v1/embeddings"
    assert way.body["model"] == "dep"
    assert way.body["dimensions"] == 5
    assert way.sent.losses == ("keep_alive:drop",)


def test_one_text_is_answered_as_one() -> None:
    content = {"parts": [{"text": "a"}, {"text": "b"}]}
    request = google("embedContent", content=content, task_type="X", title="t")
    way = Way(request)
    assert way.body["input"] == ["a\nb"]
    assert way.sent.losses == ("taskType:drop", "title:drop")
    told = way.told(openai_answer(VALUES, (0,)))
    assert told == {"embedding": {"values": VALUES[0]}}
    old = Way(ollama("/api/embeddings", prompt="a"))
    assert old.told(openai_answer(VALUES, (1,))) == {"embedding": VALUES[1]}
    assert (
        Way(asked("embeddings", input="a"), "google").told(
            {"embedding": {"values": [1]}}
        )["usage"]["prompt_tokens"]
        >= 1
    )


def test_what_vertex_nests_is_read_too() -> None:
    request = google(
        "embedContent",
        content={"parts": [{"text": "a"}]},
        embedContentConfig={"outputDimensionality": 4, "taskType": "X"},
    )
    way = Way(request, "ollama")
    assert way.body["dimensions"] == 4
    assert way.sent.losses == ("taskType:drop",)


@pytest.mark.parametrize(
    ("request_of", "upstream"),
    [
        (lambda: asked("embeddings", input=[1, 2]), "google"),
        (lambda: asked("embeddings", input=[[1], [2]]), "ollama"),
        (lambda: asked("embeddings", input=[]), "ollama"),
        (lambda: asked("embeddings", input={"a": 1}), "google"),
        (lambda: asked("embeddings", input="a", dimensions="x"), "google"),
        (lambda: ollama(), "openai"),
        (lambda: google(requests=[]), "openai"),
        (lambda: google(requests=3), "openai"),
        (lambda: google("embedContent"), "openai"),
        (
            lambda: google(
                "embedContent", content={"parts": [{"inlineData": {"data": "AA"}}]}
            ),
            "openai",
        ),
        (
            lambda: google(
                requests=[{**BATCH[0], "outputDimensionality": 4}, BATCH[1]]
            ),
            "ollama",
        ),
    ],
)
def test_what_another_vendor_cannot_embed_is_refused(request_of, upstream) -> None:
    with pytest.raises(FormatError) as refusal:
        Way(request_of(), upstream)
    assert refusal.value.param
