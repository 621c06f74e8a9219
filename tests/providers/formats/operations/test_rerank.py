"""T110, P128: a ranking of any vendor has what every client looks for."""

from __future__ import annotations

import json

import pytest

from pricing.tokens import TokenUsage
from providers.formats import registry
from providers.formats.base import Target
from tests.providers.formats.operations.support import Way, asked

COHERE = {
    "id": "rr-1",
    "results": [
        {"index": 2, "relevance_score": 0.9},
        {"index": 0, "relevance_score": 0.2},
        {"index": 1, "relevance_score": 0.1},
    ],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 2}},
}
JINA = {
    "model": "up",
    "usage": {"total_tokens": 15},
    "results": [
        {"index": 0, "relevance_score": 0.2, "document": {"text": "a"}},
        {"index": 2, "relevance_score": 0.9, "document": {"text": "c"}},
        {"index": 1, "relevance_score": 0.1, "document": "b"},
    ],
}
TEI = [
    {"index": 1, "score": 0.1, "text": "b"},
    {"index": 2, "score": 0.9},
    {"index": 0, "score": 0.2},
]
VOYAGE = {"data": COHERE["results"], "usage": {"total_tokens": 15}}
BILLED = {
    "cohere": (COHERE, TokenUsage(units=2, unit_kind="request")),
    "jina": (JINA, TokenUsage(input_tokens=15)),
    "tei": (TEI, TokenUsage(units=1, unit_kind="request")),
    "voyage": (VOYAGE, TokenUsage(input_tokens=15)),
    "tokens": (
        {**COHERE, "meta": {"tokens": {"input_tokens": 15}}},
        TokenUsage(input_tokens=15),
    ),
}


@pytest.mark.parametrize("vendor", BILLED)
def test_t110_the_answer_has_it_all_and_is_sorted(vendor) -> None:
    answer, usage = BILLED[vendor]
    request = asked(
        "rerank", query="q", documents=["a", {"text": "b"}, "c"], return_documents=True
    )
    way = Way(request)
    told = way.told(answer)
    assert [each["index"] for each in told["results"]] == [2, 0, 1]
    scores = [each["relevance_score"] for each in told["results"]]
    assert scores == [0.9, 0.2, 0.1]
    texts = [each["document"]["text"] for each in told["results"]]
    assert texts == ["c", "a", "b"]
    assert told["id"]
    assert told["model"] == "house"
    assert told["meta"]["billed_units"]
    assert "total_tokens" in told["usage"]
    assert "score" not in told["results"][0]
    assert way.back(answer).usage == usage


def test_documents_come_back_only_where_they_were_asked_for() -> None:
    told = Way(asked("rerank", query="q", documents=["a", "b", "c"])).told(COHERE)
    assert all("document" not in each for each in told["results"])


def test_t110_the_best_come_first_and_no_more_than_asked() -> None:
    request = asked("rerank", query="q", documents=["a", "b", "c"], top_n=2)
    assert [each["index"] for each in Way(request).told(TEI)["results"]] == [2, 0]


@pytest.mark.parametrize(
    "answer",
    [
        {"results": 3},
        {"results": [3]},
        {"results": [{"index": "0", "relevance_score": 1}]},
        {"results": [{"index": 0}]},
        [3],
        b"[{",
    ],
)
def test_what_is_no_ranking_is_an_error(answer) -> None:
    way = Way(asked("rerank", query="q", documents=["a"]))
    assert way.back(answer).error is not None


def test_a_server_that_knows_texts_only_is_asked_for_texts() -> None:
    request = asked("rerank", query="q", documents=["a", {"text": "b"}, {"c": 1}])
    bridge = registry.bridge("openai", "openai", "up", "rerank")
    target = Target(model="up", options={"rerank": "tei"})
    body = json.loads(bridge.build_request(request, target).body)
    assert body == {"query": "q", "texts": ["a", "b", '{"c":1}'], "return_text": False}
    assert Way(request).body["documents"] == ["a", {"text": "b"}, {"c": 1}]
