"""Say the product's own short names as people read them."""

from __future__ import annotations

from typing import Final

DECISIONS: Final = {
    "served": "Served the client.",
    "retry_same": "Retry same: asked the same credential once more.",
    "wait": "Wait: asked the same credential again after a pause.",
    "next_credential": "Next key: went on to another key or account of the provider.",
    "next_model": "Next model: went on to another model of the provider.",
    "next_provider": "Next backend: went on to the next provider.",
    "switch_provider": "Next backend: a fallback rule led to another provider.",
    "switch_model": "Next model: a fallback rule led to another model.",
    "fail_fast": "Fail fast: asking somebody else would not have helped, or part of the answer had left.",
    "exhausted": "Exhausted: no candidate was left.",
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
