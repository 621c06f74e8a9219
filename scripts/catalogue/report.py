"""Write down every disagreement of the sources, and how it was settled."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from scripts.catalogue.disputes import RULES, Dispute
from scripts.catalogue.write import price_text


def text(disputed: list[Dispute], date: str) -> str:
    """Return the report as JSON, one line a disagreement."""
    head = {"date": date, "found": len(disputed), "open": len(still_open(disputed))}
    rules = json.dumps(RULES, indent=1).replace("\n", "\n ")
    rows = ",\n".join(f"  {json.dumps(_row(each))}" for each in disputed)
    lead = json.dumps(head)[1:-1]
    return f'{{\n {lead},\n "rules": {rules},\n "rows": [\n{rows}\n ]\n}}\n'


def summary(disputed: list[Dispute]) -> list[str]:
    """Return how many there are, by rule, for the eye."""
    rules = Counter(each.rule or "open" for each in disputed)
    models = {(each.provider, each.model) for each in disputed}
    shares = ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items()))
    return [
        f"disagreements over 1 %: {len(disputed)} columns of {len(models)} models of"
        " the main makers",
        f"settled by: {shares}",
        f"still open: {len(still_open(disputed))}",
    ]


def still_open(disputed: list[Dispute]) -> list[Dispute]:
    """Return what no rule settled."""
    return [each for each in disputed if not each.rule]


def _row(dispute: Dispute) -> dict[str, Any]:
    row: dict[str, Any] = {
        "provider": dispute.provider,
        "model": dispute.model,
        "column": dispute.column,
        "stated": {name: price_text(value) for name, value in dispute.stated.items()},
        "chosen": price_text(next(iter(dispute.stated.values()))),
        "rule": dispute.rule,
    }
    if dispute.rule == "line":
        row["reason"] = dispute.reason
    return row
