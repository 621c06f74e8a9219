"""The ways an upstream model's id may be read, from as written to bare.

An id is written in many ways: vendor paths, regions, dates, channels, dots or hyphens,
efforts some clients add for their logs. A reading is the same model at the same price
in another spelling, never a guess: what names a version, a size or a tier stays.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from pricing.families import family_of, is_other_kind, words_of

_MOST_CHARACTERS: Final = 300
"""Ids are at most 200 characters; what is far longer is read as it stands."""

_SPACES: Final = re.compile(r"[\s_]+")
_HYPHENS: Final = re.compile(r"-{2,}")
_REGION: Final = re.compile(
    r"^(?:(?:us|eu|apac|jp|au|ca|global|us-gov)\.)?"
    r"(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|"
    r"moonshotai|moonshot|nvidia|openai|qwen|stability|writer|zai)\."
)
_POINT: Final = re.compile(r"(?<=\d)p(?=\d)")
_REVISION: Final = re.compile(r"-v\d+(?::\d+)+(?::\w+)?$|(?<=-20\d{6})-v\d+$")
_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DAY: Final = r"(?:0[1-9]|[12]\d|3[01])"
_DATE: Final = re.compile(rf"[-@](?:20\d\d(-?){_MONTH}\1{_DAY}|{_MONTH}-20\d\d)$")
_CHANNEL: Final = re.compile(
    r"(?:-latest|-preview|@latest|@default|:latest|:beta|:thinking|:extended)$"
)
_CONTEXT: Final = re.compile(r"\[1m\]$")
_EFFORT: Final = re.compile(
    r"-(?:none|minimal|low|medium|high|xhigh)$"
    r"|\((?:none|auto|minimal|low|medium|high|xhigh|\d{1,6})\)$"
)
_CLAUDE: Final = re.compile(r"-thinking$|-v[12]$")
_GEMINI: Final = re.compile(r"-00\d$")
_DRESSING: Final = re.compile(
    r"-(?:instruct|it|chat|hf|fp8|fp16|bf16|int4|int8|awq|gptq|gguf|maas|tee|exp|"
    r"experimental|customtools)$"
)
_TUNED_WORDS: Final = frozenset({"ft", "finetuned", "tunedmodels", "lora"})
_TUNED: Final = re.compile(r"^(?:[^/]*/)?ft:([^:]+)")


def fold(text: str) -> str:
    """Return an id with every separator the same."""
    plain = _HYPHENS.sub("-", _SPACES.sub("-", text.strip().lower()))
    # Azure's names may not hold a dot.
    plain = plain.replace("gpt-35-", "gpt-3.5-")
    return plain.replace(".", "-").replace(":", "-").replace("@", "-")


def read(model_id: str) -> tuple[str, ...]:
    """Return the folded readings of an id, the plainest first, each once.

    Shapes:  of a fine-tuned model (``ft:gpt-4o:org::id``) only the tuned base is read,
             which is priced apart; never the base itself.
    Source:  vendor paths (``accounts/fireworks/models/x``), Bedrock regions and
             revisions (``us.anthropic.x-v1:0``), Vertex dates (``x@20250514``),
             OpenRouter's variants, efforts and context marks of clients.
    """
    text = _HYPHENS.sub("-", _SPACES.sub("-", model_id.strip().lower()))
    if len(text) > _MOST_CHARACTERS:
        return (fold(text),)
    if is_fine_tuned(text):
        return tuple(dict.fromkeys(_tuned(text)))
    found: dict[str, None] = {}
    parts = [text]
    if "/" in text:
        last = text.rpartition("/")[2]
        parts.append(_POINT.sub(".", last) if text.startswith("accounts/") else last)
    for part in parts:
        for start in dict.fromkeys((part, _REGION.sub("", part))):
            for each in _shortened(start):
                found[fold(each)] = None
    found.pop("", None)
    return tuple(found)


readings: Final = lru_cache(maxsize=8192)(read)
"""``read``, remembered: a snapshot asks again for the ids it asked for before."""


def bare(model_id: str) -> str:
    """Return the barest reading: what ids of the same model have in common."""
    found = read(model_id)
    return found[-1] if found else ""


def undressed(reading: str) -> str:
    """Return a reading without the words of its packaging; itself when it has none.

    Shapes:  ``llama-3-3-70b-instruct`` is ``llama-3-3-70b``: the price may well be
             another one, so what is found this way is a guess.
    """
    text, cut = "", reading
    while cut != text:
        text, cut = cut, _DRESSING.sub("", cut)
    return text


def is_fine_tuned(model_id: str) -> bool:
    """Tell whether an id names a model somebody trained further."""
    return not _TUNED_WORDS.isdisjoint(words_of(model_id))


def is_free_variant(model_id: str) -> bool:
    """Tell OpenRouter's free variants, ``vendor/model:free``."""
    text = model_id.strip().lower()
    return text.endswith(":free") and "/" in text


def _tuned(text: str) -> list[str]:
    """Return the readings of a fine-tuned model."""
    found = [fold(text)]
    base = _TUNED.match(text)
    if base:
        found += [fold(f"ft:{each}") for each in _cut(base[1], (_DATE,))]
    return found


def _shortened(text: str) -> list[str]:
    """Return an id and what is left of it as endings are cut off, one after another."""
    endings = [_REVISION, _DATE, _CHANNEL, _CONTEXT]
    if not is_other_kind(text):
        family = family_of(text)
        endings += [_CLAUDE] if family == "claude" else []
        endings += [_GEMINI] if family == "gemini" else []
        endings.append(_EFFORT)
    return _cut(text, endings)


def _cut(
    text: str, endings: list[re.Pattern[str]] | tuple[re.Pattern[str], ...]
) -> list[str]:
    """Cut endings off until none is left; every step is a reading."""
    found = [text]
    changed = True
    while changed:
        changed = False
        for ending in endings:
            left = ending.sub("", text).rstrip("-:")
            # "mistral-medium" is a model, "gpt-5-medium" an effort: what stays of an
            # effort has a version of its own.
            is_name = ending is _EFFORT and not any(sign.isdigit() for sign in left)
            if left and left != text and not is_name:
                text = left
                changed = True
                found.append(text)
    return found
