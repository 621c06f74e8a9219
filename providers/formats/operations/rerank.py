"""Rerank: three vendors' answers made one that holds what each of them has.

Cohere states what it bills in ``meta``, Jina in ``usage``, servers like text embeddings
inference answer with a bare list of scores. A client finds its own members in any.

Source: reference wire 1.3, P128, T110.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import msgspec

from pricing.tokens import TokenUsage, count
from providers.formats.base import UNREADABLE, ChatRequest, ResponseMeta, Target
from providers.formats.openai_chat.usage import ReadUsage
from providers.formats.operations.answers import members_in, odd_answer
from providers.formats.operations.asking import value_of
from providers.formats.operations.usage import counted, read_plain

_LISTED: Final = msgspec.json.Decoder(list[dict[str, Any]])
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
_STYLE: Final = "rerank"
_TEI: Final = "tei"


def worded(request: ChatRequest, target: Target) -> bytes | None:
    """Word a request for a server that knows ``texts`` only, None for any other.

    Shapes:  the provider's option ``rerank`` is ``tei`` for such a server.
    """
    if target.options.get(_STYLE, "").strip().lower() != _TEI:
        return None
    texts = [_text(document) for document in _documents(request)]
    query = value_of(request.members, "query", str)
    return msgspec.json.encode({"query": query, "texts": texts, "return_text": False})


def read(request: ChatRequest, body: bytes) -> ResponseMeta:
    """Read an answer of any of the three and word the one that has it all.

    Errors:  OddAnswerError.
    """
    said = _answer(body)
    results = _results(request, said, body)
    found = _usage(request, said)
    answer = {
        "id": str(said.get("id") or uuid4()),
        "object": "list",
        **{key: value for key, value in said.items() if key not in ("data", "results")},
        "model": request.model,
        "results": results,
        "meta": _meta(said, found.usage),
        "usage": _spent(said, found.usage),
    }
    return ResponseMeta(
        body=msgspec.json.encode(answer),
        usage=found.usage,
        flags=found.flags,
        vendor_cost_nano_usd=found.vendor_cost_nano_usd,
        model=said["model"] if isinstance(said.get("model"), str) else None,
        response_id=str(said["id"]) if said.get("id") else None,
    )


def _answer(body: bytes) -> dict[str, Any]:
    if body.lstrip()[:1] == b"[":
        try:
            return {"results": _LISTED.decode(body)}
        except UNREADABLE:
            raise odd_answer(body) from None
    return _OBJECT.decode(members_in(body).body)


def _results(
    request: ChatRequest, said: dict[str, Any], body: bytes
) -> list[dict[str, Any]]:
    """Return the ranking, best first, as far down as the client asked."""
    found = said.get("results", said.get("data"))
    if not isinstance(found, list):
        raise odd_answer(body)
    documents: list[Any] = []
    if value_of(request.members, "return_documents", bool):
        documents = _documents(request)
    made = [_result(each, documents) for each in found if isinstance(each, dict)]
    if len(made) != len(found) or None in made:
        raise odd_answer(body)
    ranked = sorted((each for each in made if each), key=_score, reverse=True)
    most = value_of(request.members, "top_n", int)
    return ranked if most is None or most < 1 else ranked[:most]


def _result(said: dict[str, Any], documents: list[Any]) -> dict[str, Any] | None:
    index, score = said.get("index"), said.get("relevance_score", said.get("score"))
    if type(index) is not int or not isinstance(score, int | float):
        return None
    made = {**said, "index": index, "relevance_score": score}
    made.pop("score", None)
    text = made.pop("text", None)
    if "document" not in made and isinstance(text, str):
        made["document"] = {"text": text}
    if isinstance(made.get("document"), str):
        made["document"] = {"text": made["document"]}
    if "document" not in made and 0 <= index < len(documents):
        document = documents[index]
        made["document"] = (
            document if isinstance(document, dict) else {"text": document}
        )
    return made


def _score(result: dict[str, Any]) -> float:
    return float(result["relevance_score"])


def _usage(request: ChatRequest, said: dict[str, Any]) -> ReadUsage:
    """Read what was billed: search units, else tokens, else one request."""
    flags: list[str] = []
    meta = said.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    billed = meta.get("billed_units")
    billed = billed if isinstance(billed, dict) else {}
    units = count(billed.get("search_units"), "search_units", flags)
    if units is not None:
        return ReadUsage(TokenUsage(units=units, unit_kind="request"), tuple(flags))
    stated = said.get("usage")
    read = read_plain(msgspec.json.encode(stated) if stated else None)
    if read.usage is not None:
        return read
    tokens = meta.get("tokens") if isinstance(meta.get("tokens"), dict) else billed
    spent = count((tokens or {}).get("input_tokens"), "prompt", flags)
    if spent is not None:
        return ReadUsage(TokenUsage(input_tokens=spent), tuple(flags))
    return ReadUsage(counted(request), tuple(flags))


def _meta(said: dict[str, Any], usage: TokenUsage | None) -> dict[str, Any]:
    """Return Cohere's word for what was spent, as far as it is known."""
    meta = dict(said["meta"]) if isinstance(said.get("meta"), dict) else {}
    if usage is None or "billed_units" in meta:
        return meta
    if usage.units is not None:
        return {**meta, "billed_units": {"search_units": usage.units}}
    tokens = {"input_tokens": usage.prompt_tokens}
    return {"tokens": {**tokens, "output_tokens": 0}, **meta, "billed_units": tokens}


def _spent(said: dict[str, Any], usage: TokenUsage | None) -> dict[str, Any]:
    """Return Jina's word for it; no tokens are known where a search was billed."""
    stated = said.get("usage")
    if isinstance(stated, dict) and stated:
        return stated
    tokens = 0
    meta = said.get("meta")
    if isinstance(meta, dict) and isinstance(meta.get("tokens"), dict):
        tokens = count(meta["tokens"].get("input_tokens"), "prompt", []) or 0
    if usage is not None:
        tokens = usage.total_tokens or tokens
    return {"total_tokens": tokens, "prompt_tokens": tokens}


def _documents(request: ChatRequest) -> list[Any]:
    raw = request.members.values.get("documents", request.members.values.get("texts"))
    try:
        found = [] if raw is None else msgspec.json.decode(raw)
    except UNREADABLE:
        return []
    return found if isinstance(found, list) else []


def _text(document: Any) -> str:
    if isinstance(document, str):
        return document
    if isinstance(document, dict) and isinstance(document.get("text"), str):
        return str(document["text"])
    return msgspec.json.encode(document).decode()
