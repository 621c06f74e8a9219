"""What kind of route one is: near to its model's own dialect, free, official, local.

Source: reference seeds 4.1, 4.3; the combination with priority is our own and written
down in docs/routing.md.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from providers.routing.types import Offer
from providers.snapshot.types import ModelRecord, ProviderRecord

CLAUDE: Final = "claude"
CODEX: Final = "codex"
DEFAULT: Final = "default"
FREE: Final = "free"
PAID: Final = "paid"
OFFICIAL: Final = "official"
OTHER: Final = "other"
GROUPS: Final = (FREE, PAID, OFFICIAL, OTHER)
_LOCAL: Final = "local"

_CLAUDE_WORDS: Final = ("claude", "sonnet", "opus", "haiku")
_PREFERRED: Final = {
    CLAUDE: ("anthropic", "openai", "responses"),
    CODEX: ("responses", "openai", "anthropic"),
}
_INSIDE: Final = {
    "azure": "openai",
    "copilot": "openai",
    "codex": "responses",
    "codex-cli": "responses",
    "claude-cli": "anthropic",
    "bedrock": "anthropic",
    "vertex": "anthropic",
}
"""Envelopes and what the models of a family are spoken to in through them."""

_STEP: Final = 100
_NATIVE: Final = 25

LOCAL_RUNNERS: Final = frozenset(
    {
        "atomic-chat", "gpt4free", "jan", "lemonade", "litellm", "llamacpp",
        "lmstudio", "localai", "ollama", "privatemode-ai", "vllm", "xinference",
    }
)  # fmt: skip
"""Catalogue ids of what runs on one's own machine; everybody else is in the cloud."""

VENDORS: Final = frozenset(
    {
        "ai21", "anthropic", "azure-openai", "baichuan", "bailing", "bedrock",
        "claude-oauth", "codestral", "cohere", "deepseek", "google",
        "google-antigravity", "google-gemini-cli", "hunyuan", "inception",
        "kimi-coding", "lingyi", "llama", "longcat", "mimo", "minimax",
        "minimax-coding", "minimax-coding-intl", "minimax-intl", "mistral",
        "moonshot", "moonshot-cn", "nova", "openai", "openai-codex", "perplexity",
        "qwen", "qwen-intl", "qwen-portal", "qwen-us", "sarvam", "spark", "stepfun",
        "stepfun-intl", "stepfun-plan", "upstage", "vertex", "voyage", "xai", "zai",
        "zai-coding", "zhipu", "zhipu-coding",
    }
)  # fmt: skip
"""Catalogue ids of those who make the models they serve, or sell them in their name."""


@lru_cache(maxsize=4096)
def family_of(model_id: str) -> str:
    """Return the family of a model: claude, codex or default."""
    name = model_id.casefold()
    if "codex" in name:
        return CODEX
    return CLAUDE if any(word in name for word in _CLAUDE_WORDS) else DEFAULT


def affinity(provider: ProviderRecord, model: ModelRecord) -> int:
    """Score how near a provider is to the dialect its model was made for.

    Shapes:  hundreds for the place of its dialect among those its family prefers, 25
             more where that is its own dialect and not one it speaks besides; 0 for a
             family without preferences.
    """
    preferred = _PREFERRED.get(family_of(model.model_id))
    if preferred is None:
        return 0
    spoken = {provider.format: _NATIVE} if not model.formats else {}
    for name in model.formats or provider.other_formats:
        spoken.setdefault(name, _NATIVE if name == provider.format else 0)
    best = 0
    for name, native in spoken.items():
        inside = _INSIDE.get(name, name)
        if inside in preferred:
            place = preferred.index(inside)
            best = max(best, (len(preferred) - place) * _STEP + native)
    return best


def is_local(provider: ProviderRecord) -> bool:
    """Tell whether a provider counts as local: only runners and custom ones may."""
    return provider.location == _LOCAL and (
        not provider.catalogue or provider.catalogue in LOCAL_RUNNERS
    )


def is_free(offer: Offer) -> bool:
    """Tell whether an offer is known to cost nothing; unknown is not free."""
    price = offer.model.price
    if price is None:
        return is_local(offer.provider)
    return price.input == 0 and price.output == 0 and not price.per_request


def price_rank(model: ModelRecord) -> tuple[int, int]:
    """Rank a model by its price: what is known first, then the sum, unknown last.

    Shapes:  a model that only has an input price (an embedding, say) stands between.
    """
    price = model.price
    if price is None or price.input is None:
        return 2, 0
    if price.output is None:
        return 1, price.input
    return 0, price.input + price.output
