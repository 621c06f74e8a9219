"""Choose which models to probe, and say beforehand what that will cost."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db.models import prefetch_related_objects

from pricing.cost import cost_nano_usd
from pricing.estimate import estimate_input_tokens
from pricing.tokens import TokenUsage
from providers.models import ProviderModel
from providers.services.own_call import PROBE_PROMPT
from providers.services.probing.rules import why_skipped
from providers.snapshot.prices import PriceTable

MOST_MODELS: Final = 5_000
_LONGEST_PATTERN: Final = 200
_COLUMNS: Final = (
    "model_id", "provider_id", "enabled", "deleted_at", "capabilities", "evidence",
)  # fmt: skip
_MESSAGE: Final = b'{"role":"user","content":"%s"}' % PROBE_PROMPT.encode()


@dataclass(frozen=True)
class Choice:
    """What a person asks for; everything that is set must hold.

    Shapes:  ``providers`` are ids (slugs), none = all; ``match`` is a pattern for model
             ids with ``*`` and ``?``; ``models`` are row ids; ``capability`` a word the
             model is known to have.
    """

    providers: Sequence[str] = ()
    match: str = ""
    models: Sequence[int] = ()
    capability: str = ""
    only_enabled: bool = True

    @property
    def is_everything(self) -> bool:
        """Tell whether nothing narrows it down."""
        return not (self.providers or self.match or self.models or self.capability)


@dataclass(frozen=True)
class Estimate:
    """What a round would ask and cost.

    Shapes:  ``asked`` are the models that will be asked, ``skipped`` those that will
             not, with the reason.
    Units:   nano-USD of those whose price is known; ``unpriced`` counts the others.
    """

    asked: list[ProviderModel] = field(default_factory=list)
    skipped: list[tuple[ProviderModel, str]] = field(default_factory=list)
    cost_nano_usd: int = 0
    unpriced: int = 0

    @property
    def has_price(self) -> bool:
        """Tell whether any price is known at all."""
        return self.unpriced < len(self.asked)


def chosen(choice: Choice) -> list[ProviderModel]:
    """Return the models of a choice with their providers, at most ``MOST_MODELS``.

    Cost:  two queries; models of one provider share its object.
    """
    rows = ProviderModel.objects.filter(
        deleted_at=None, provider__deleted_at=None
    ).only(*_COLUMNS)
    if choice.providers:
        rows = rows.filter(provider__slug__in=list(choice.providers)[:500])
    if choice.models:
        # Few enough for one statement; whole providers are chosen by their id.
        rows = rows.filter(pk__in=list(choice.models)[:900])
    if choice.only_enabled:
        rows = rows.filter(enabled=True, provider__enabled=True)
    ordered = rows.order_by("provider__slug", "model_id")[:MOST_MODELS]
    pattern = fnmatch.translate((choice.match or "*")[:_LONGEST_PATTERN].casefold())
    matches = re.compile(pattern).match
    found = [
        model
        for model in ordered
        if matches(model.model_id.casefold()) and _has(model, choice.capability)
    ]
    prefetch_related_objects(found, "provider")
    return found


def estimate(models: Sequence[ProviderModel]) -> Estimate:
    """Say who would be asked and what one token of each costs.

    Cost:  one query for the prices people set.
    """
    table = PriceTable.load()
    result = Estimate()
    cost = unpriced = 0
    for model in models:
        reason = why_skipped(model)
        if reason:
            result.skipped.append((model, reason))
            continue
        result.asked.append(model)
        price = table.look(model.provider, model.model_id).price
        tokens = estimate_input_tokens(_MESSAGE, model.model_id)
        usage = TokenUsage(input_tokens=tokens, output_tokens=1)
        nano = None if price is None else cost_nano_usd(usage, price)
        cost += nano or 0
        unpriced += nano is None
    return Estimate(result.asked, result.skipped, cost, unpriced)


def _has(model: ProviderModel, word: str) -> bool:
    """Tell whether a model is known to be capable of something; no word asks nothing."""
    if not word:
        return True
    for said in (model.evidence, model.capabilities):
        if isinstance(said, dict) and word in said:
            return bool(said[word])
    return False
