"""No version nobody lists is priced, and a large pool's prices are found in no time."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from random import Random

from pricing.book.index import PriceIndex
from pricing.book.loader import embedded_listing
from pricing.matcher import Matcher
from pricing.readings import is_free_variant
from scripts.proofs.figure import Figure, at_least, at_most, equal

name = "prices"
LOOK_UPS = 10_000
# No size: 8b or 32k raised may well be there.
_NUMBER = re.compile(r"(?<!\d)\d{1,2}(?![\dbBkK])")
# Bedrock's own count of an id's revisions is no version of the model.
_REVISION = re.compile(r"-v\d+:\d+$")


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Ask for every listed model with each of its numbers raised, then in bulk."""
    random = Random(seed)
    listed = embedded_listing()
    matcher = Matcher()
    asked, priced = 0, []
    for provider, model in invented(random):
        if short and random.random() > 0.1:
            continue
        asked += 1
        if matcher.match("any", model, listing_id=provider).price is not None:
            priced.append(model)
    seconds = _bulk_seconds(random)
    return [
        at_least("models listed", listed.models_count, 4_000),
        at_least(
            "versions asked for that nobody lists", asked, 500 if short else 5_000
        ),
        equal("of them priced", len(priced), 0),
        at_most(
            f"index and {LOOK_UPS:,} look-ups, processor time",
            round(seconds, 2),
            2,
            "s",
        ),
    ]


def invented(random: Random) -> Iterator[tuple[str, str]]:
    """Yield listed ids with one number of the name raised beyond what there is."""
    for provider in embedded_listing().providers.values():
        for model in provider.models:
            path, slash, last = model.rpartition("/")
            if is_free_variant(model) or _REVISION.search(model):
                continue
            for number in _NUMBER.finditer(last):
                raised = int(number[0]) + random.randint(60, 99)
                changed = f"{last[: number.start()]}{raised}{last[number.end() :]}"
                yield provider.id, f"{path}{slash}{changed}"


def _bulk_seconds(random: Random) -> float:
    """Index everything anew and look many models up, at hosts known and unknown."""
    listed = embedded_listing()
    names = [
        (provider.id, model)
        for provider in listed.providers.values()
        for model in provider.models
    ]
    chosen = random.choices(names, k=LOOK_UPS)
    began = time.process_time()
    matcher = Matcher(index=PriceIndex([listed]))
    for number, (provider, model) in enumerate(chosen):
        matcher.match("any", model, listing_id=provider if number % 2 else "")
    return time.process_time() - began
