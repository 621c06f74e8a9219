"""Reasoning beside the standard: plain text by three names, proof in details.

Chat completions has no place for proof of reasoning. Two de-facto ones are read:
``reasoning_details`` (OpenRouter) and ``thinking_blocks`` (LiteLLM); the first is
written, because it can say who made a proof and clients send it back whole.

Source: reference wire 1.1, 2.12.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from providers.formats.neutral.types import Opaque, Reasoning

_FAMILIES: Final = {
    "anthropic-claude-v1": "anthropic",
    "openai-responses-v1": "openai",
    "google-gemini-v1": "google",
    "amazon-bedrock-v1": "bedrock",
}
_FORMATS: Final = {family: name for name, family in _FAMILIES.items()}
_SEALED: Final = {
    "anthropic": "redacted",
    "bedrock": "redacted",
    "google": "thought_signature",
}
"""What a proof without words is called by who made it; others call it encrypted."""


def read_details(
    details: Iterable[Mapping[str, Any]], *, model: str = "", scope: str = ""
) -> list[Reasoning]:
    """Read ``reasoning_details``.

    Shapes:  ``model`` and ``scope`` bind proof that does not name its own.
    """
    found: list[Reasoning] = []
    for each in details:
        part = _detail(each, model, scope)
        if part is not None:
            found.append(part)
    return found


def read_blocks(
    blocks: Iterable[Mapping[str, Any]], *, model: str = "", scope: str = ""
) -> list[Reasoning]:
    """Read ``thinking_blocks``: Anthropic's blocks as they were."""
    found: list[Reasoning] = []
    for each in blocks:
        if each.get("type") == "redacted_thinking":
            proof = _proof("anthropic", "redacted", each.get("data"), model, scope)
            if proof:
                found.append(Reasoning(opaque=proof, is_redacted=True))
            continue
        text = _text(each.get("thinking"))
        signed = each.get("signature")
        proof = _proof("anthropic", "signature", signed, model, scope)
        if text or proof:
            found.append(Reasoning(text=text, opaque=proof, is_redacted=not text))
    return found


def write_details(parts: Iterable[Reasoning]) -> list[dict[str, Any]]:
    """Word the reasoning that has proof as ``reasoning_details``, in order."""
    written: list[dict[str, Any]] = []
    for part in parts:
        for proof in part.opaque:
            entry = _entry(part, proof)
            entry["index"] = len(written)
            written.append(entry)
    return written


def _detail(each: Mapping[str, Any], model: str, scope: str) -> Reasoning | None:
    """Read one entry."""
    family = _FAMILIES.get(_text(each.get("format")), "other")
    model = _text(each.get("model")) or model
    scope = _text(each.get("scope")) or scope
    item_id = _text(each.get("id"))
    kind = each.get("type")
    if kind == "reasoning.encrypted":
        slot = _text(each.get("slot")) or _SEALED.get(family, "encrypted")
        proof = _proof(family, slot, each.get("data"), model, scope)
        text = _text(each.get("text"))
        return (
            Reasoning(
                text=text,
                kind="summary" if each.get("is_summary") is True else "full",
                opaque=proof,
                is_redacted=not text,
                item_id=item_id,
            )
            if proof
            else None
        )
    if kind == "reasoning.summary":
        text = _text(each.get("summary"))
        return Reasoning(text=text, kind="summary", item_id=item_id) if text else None
    text = _text(each.get("text"))
    if family == "other":
        family = "anthropic"  # only its text is signed; older answers name no format
    proof = _proof(family, "signature", each.get("signature"), model, scope)
    if not text and not proof:
        return None
    return Reasoning(text=text, opaque=proof, is_redacted=not text, item_id=item_id)


def _entry(part: Reasoning, proof: Opaque) -> dict[str, Any]:
    """Word one proof and the words it is for."""
    entry: dict[str, Any] = {"format": _FORMATS.get(proof.family, "unknown")}
    if proof.slot == "signature" and proof.family in _FORMATS:
        entry |= {
            "type": "reasoning.text",
            "text": part.text,
            "signature": proof.data,
        }
    else:
        entry |= {
            "type": "reasoning.encrypted",
            "data": proof.data,
            "slot": proof.slot,
        }
        if part.text:
            entry["text"] = part.text
        if part.kind == "summary":
            entry["is_summary"] = True
    if part.item_id:
        entry["id"] = part.item_id
    if proof.model:
        entry["model"] = proof.model
    if proof.scope:
        entry["scope"] = proof.scope
    return entry


def _proof(
    family: str, slot: str, data: Any, model: str, scope: str
) -> tuple[Opaque, ...]:
    """Return the proof there is."""
    if not isinstance(data, str) or not data:
        return ()
    return (Opaque(family=family, slot=slot, data=data, model=model, scope=scope),)


def _text(value: Any) -> str:
    """Return a text, blank for anything else; a list is the text of its parts."""
    if isinstance(value, list):
        return "".join(
            _text(part.get("text")) for part in value if isinstance(part, dict)
        )
    return value if isinstance(value, str) else ""
