"""What is to blame is found: a key, a model, an account, a provider, or the way out."""

from __future__ import annotations

from scripts.proofs.figure import Figure, at_least
from tests.providers.routing import throttles

name = "diagnosis"
EPISODES, SHORT_EPISODES = 5_000, 200
LEAST_PERCENT = 95.0
LEAST_OF_A_CAUSE = 90.0


def run(seed: int, *, short: bool = False) -> list[Figure]:
    """Play episodes of each cause; say how many were named right, and what for what."""
    count = SHORT_EPISODES if short else EPISODES
    table = throttles.confusion(count, seed)
    percent = round(100 * throttles.share_right(table), 2)
    figures = [at_least(f"named right of {count} events", percent, LEAST_PERCENT, "%")]
    for cause in throttles.CAUSES:
        taken = {named: n for (true, named), n in table.items() if true == cause}
        right = round(100 * taken.get(cause, 0) / max(1, sum(taken.values())), 2)
        told = ", ".join(f"{named} {n}" for named, n in sorted(taken.items()))
        rule = f"at least {LEAST_OF_A_CAUSE:g} %"
        ok = right >= LEAST_OF_A_CAUSE
        figures.append(Figure(f"cause {cause}", f"{right:g} % ({told})", rule, ok))
    return figures
