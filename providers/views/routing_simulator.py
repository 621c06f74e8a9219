"""The simulator: where a request would go, on the draft or as things are.

It asks what live requests ask, on the snapshot a worker would get; nothing is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from poolsite.ui.render import render
from providers import selectors_routing as selectors
from providers.formats.base import NEED_NAMES
from providers.proxy.explaining import (
    LAST_RESORT,
    SKIPPED,
    Ask,
    Explanation,
    Verdict,
)
from providers.proxy.plan import COOLING
from providers.routing.pretended import PRETENDED
from providers.selectors_routing import PoolNames, Standing
from providers.services import routing_lab as lab
from providers.services import routing_requests
from providers.services.routing_words import MODES, STRATEGIES, span_in_words
from usage.models import ClientKey

_MOST_NAMES: Final = 200
_MOST_SHOWN: Final = 100
_LONGEST: Final = 200
_MOST_DOWN: Final = 50
_REASONS: Final = {
    "key_may_not_use_model": "The client key may not use this model.",
    "key_may_not_use_provider": "The client key may not use this provider.",
    "no_credential": (
        "It has no key that can be used; one entered for an older address is not sent."
    ),
    "credential_retired": "The key was replaced.",
    "format_not_supported": "Nothing translates between the two dialects.",
    "unpriced": "Its price is unknown, and a hard budget or the key asks for one.",
    "host_is_down": "Another candidate on the same host just failed.",
    "over_budget": "It would not fit a budget.",
    "cli_providers_off": "Providers that are programs are switched off here.",
    "not_reached": "Its turn would not come.",
    "not_in_mode": "The mode rules it out.",
    "excluded_by_client": "The client does not want it.",
}
_PRETENDED: Final = f"{COOLING}{PRETENDED}"
_KINDS: Final = {
    "auth": "its key was refused",
    "unreadable": "its key cannot be read",
    "quota": "its quota is used up",
    "rate_limit": "it is rate limited",
    "unavailable": "it is overloaded",
    "server_error": "it failed lately",
    "timeout": "it was too slow lately",
    "connect": "it cannot be reached",
    "model": "it does not know the model",
}


@dataclass(frozen=True)
class Asked:
    """What the simulator was asked, as its address says.

    Shapes:  ``on`` draft | force; blank strategy and mode = as the routing says.
    """

    model: str = ""
    key: str = ""
    needs: tuple[str, ...] = ()
    strategy: str = ""
    mode: str = ""
    down: tuple[str, ...] = ()
    on: str = "draft"

    @property
    def is_asked(self) -> bool:
        """Tell whether there is anything to work out."""
        return bool(self.model or self.key)


@require_GET
def simulate(request: HttpRequest) -> HttpResponse:
    """Show where a request would go."""
    standing = selectors.standing()
    names = PoolNames()
    values = {
        "standing": standing,
        "simulator": context(request, standing, names, alone=True),
    }
    return render(
        request,
        "providers/routing/simulate.html",
        values,
        piece="providers/routing/_candidates.html",
    )


def context(
    request: HttpRequest, standing: Standing, names: PoolNames, *, alone: bool = False
) -> dict[str, Any]:
    """Return what the simulator shows; it works something out on its own page only."""
    asked = _asked(request)
    problem = ""
    if alone and request.GET.get("failed"):
        asked, problem = _last_failed()
    found, missing = _explained(asked, standing) if alone else (None, "")
    tried, skipped = _rows(found, asked)
    return {
        "asked": asked,
        "found": found,
        "problem": problem or missing,
        "tried": tried,
        "skipped": skipped,
        "names": some_names(names),
        "needs": list(NEED_NAMES),
        "strategies": STRATEGIES,
        "modes": MODES,
    }


def some_names(names: PoolNames) -> list[str]:
    """Return names clients may ask for, to choose from."""
    return names.some(_MOST_NAMES)


def _asked(request: HttpRequest) -> Asked:
    sent = request.GET
    strategies = [each.word for each in STRATEGIES]
    modes = [each.word for each in MODES]
    return Asked(
        model=sent.get("model", "").strip()[:_LONGEST],
        key=sent.get("key", "").strip()[:_LONGEST].replace("\x00", ""),
        needs=tuple(n for n in dict.fromkeys(sent.getlist("needs")) if n in NEED_NAMES),
        strategy=s if (s := sent.get("strategy", "")) in strategies else "",
        mode=m if (m := sent.get("mode", "")) in modes else "",
        down=tuple(
            dict.fromkeys(text[:_LONGEST] for text in sent.getlist("down")[:_MOST_DOWN])
        ),
        on="force" if sent.get("on") == "force" else "draft",
    )


def _last_failed() -> tuple[Asked, str]:
    """Return what the last request that failed asked for."""
    found = routing_requests.last_failed()
    if found is None:
        return Asked(), "No request failed lately."
    return Asked(model=found.model, key=found.key, needs=found.needs), ""


def _explained(asked: Asked, standing: Standing) -> tuple[Explanation | None, str]:
    if not asked.is_asked:
        return None, ""
    key = None
    if asked.key:
        key = ClientKey.objects.filter(name=asked.key, revoked_at=None).first()
        if key is None:
            return None, f"No live client key is named {asked.key}."
    record = standing.in_force if asked.on == "force" else standing.edited
    ask = Ask(
        model=asked.model,
        needs=asked.needs,
        strategy=asked.strategy or None,
        mode=asked.mode or None,
    )
    return lab.explain(record, ask, key=key, down=asked.down), ""


def _rows(
    found: Explanation | None, asked: Asked
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return who would be tried, in order, and who would be passed over."""
    if found is None:
        return [], []
    seen: set[str] = set()
    rows = []
    # Those who are tried come first: their place says in which order.
    for each in sorted(found.candidates, key=_place):
        is_down = each.provider in asked.down
        rows.append(
            {
                "it": each,
                "why": _why(each, is_down=is_down),
                # One box a provider: its keys come and go together.
                "has_box": each.provider not in seen,
            }
        )
        seen.add(each.provider)
    count = sum(each.verdict != SKIPPED for each in found.candidates)
    return rows[:count][:_MOST_SHOWN], rows[count:][:_MOST_SHOWN]


def _place(each: Verdict) -> float:
    return inf if each.place is None else each.place


def _why(each: Verdict, *, is_down: bool) -> str:
    """Say in words what would become of a candidate."""
    if each.verdict == LAST_RESORT and is_down:
        return "Pretended to be down; tried last, once everybody else failed."
    if each.verdict == LAST_RESORT:
        return "Cooling down; tried all the same, as nobody else is left."
    if each.verdict != SKIPPED:
        return "Would be asked first." if each.place == 1 else "Next, if that fails."
    if each.reason == _PRETENDED:
        return "Pretended to be down."
    word, _, kind = each.reason.partition(":")
    if word == "lacks":
        return f"It cannot do {kind.replace(',', ', ')}."
    if not kind:
        plain = word.replace("_", " ").capitalize()
        return _REASONS.get(word, f"{plain}.")
    wait = each.retry_after_s
    left = f" for another {span_in_words(round(wait))}" if wait else ""
    return f"Cooling down{left}: {_KINDS.get(kind, kind.replace('_', ' '))}."
