"""Say the product's own short names as people read them."""

from __future__ import annotations

from typing import Final

DECISIONS: Final = {
    "served": "Served the client.",
    "retry_same": "Tried the same credential once more.",
    "next_credential": "Went on to the next credential.",
    "next_provider": "Went on to the next provider.",
    "fail_fast": "Stopped here: asking somebody else would not have helped, or part of the answer had left.",
    "exhausted": "Stopped: no candidate was left.",
}
SOURCES: Final = {
    "custom_provider": "set by hand for this provider",
    "custom_model": "set by hand",
    "custom_pattern": "set by hand, by pattern",
    "local": "local models cost nothing",
    "live": "the provider's own list",
    "book": "price book",
    "heuristic": "guessed from the model's family",
    "provider": "reported by the provider",
    "default": "default price",
    "unknown": "no known price",
}
