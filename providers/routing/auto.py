"""Choose models for a request that leaves the choice to the pool.

Source: reference seeds 4.5, 10.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

_ALL: Final = 8
_SOME: Final = 24
_WELL_KNOWN: Final = (
    "claude", "opus", "sonnet", "haiku", "gpt", "glm",
    "m2.7", "m2.5", "k2.5",
)  # fmt: skip
_BEST_KNOWN: Final = ("claude", "codex", "gpt")
_NO_CHAT: Final = re.compile(
    r"rerank|embed|bge-|semantic_similarity|moderation|transcribe|transcription"
    r"|^whisper|^tts-|dall-e|gpt-image|imagen|swap_face|^mj[_-]"
    r"|^text-(?:ada|babbage|curie)|^text-davinci-|^(?:davinci|babbage)-002$"
)
"""Names of models that answer no chat; the same words as in discovery's inference."""


def shortlist(names: Iterable[str]) -> list[str]:
    """Return the models ``auto`` may stand for, names sorted descending.

    Shapes:  all of them where they are at most eight; else those of well-known
             families, all of these up to 24; else the best known, or the first eight.
    """
    chat = [name for name in names if not _NO_CHAT.search(_own_name(name))]
    found = sorted(chat, reverse=True)
    if len(found) <= _ALL:
        return found
    for words in (_WELL_KNOWN, _BEST_KNOWN):
        found = list(filter(_naming(words), found)) or found
        if len(found) <= _SOME:
            return found
    return found[:_ALL]


def _own_name(name: str) -> str:
    return name.casefold().rpartition("/")[2]


def _naming(words: tuple[str, ...]) -> Callable[[str], bool]:
    def is_named(name: str) -> bool:
        folded = name.casefold()
        return any(word in folded for word in words)

    return is_named
