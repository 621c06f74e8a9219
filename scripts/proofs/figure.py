"""What a proof reports: one named value, the rule it must meet, and whether it did."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One line of the page.

    Shapes: pass_rule is the rule in words, as the reader of the page needs it.
    """

    name: str
    value: str
    pass_rule: str
    ok: bool


def equal(name: str, value: Any, expected: Any) -> Figure:
    """Report a value that must be exactly this."""
    return Figure(name, str(value), f"exactly {expected}", value == expected)


def at_most(name: str, value: float, most: float, unit: str = "") -> Figure:
    """Report a value with an upper bound."""
    told = f"{value:g} {unit}".strip()
    return Figure(name, told, f"at most {most:g} {unit}".strip(), value <= most)


def at_least(name: str, value: float, least: float, unit: str = "") -> Figure:
    """Report a value with a lower bound."""
    told = f"{value:g} {unit}".strip()
    return Figure(name, told, f"at least {least:g} {unit}".strip(), value >= least)


def is_proof(module: ModuleType) -> bool:
    """Say whether a module of this package is a proof."""
    return hasattr(module, "name") and hasattr(module, "run")
