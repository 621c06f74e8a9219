"""Read the durations vendors write: ``6m0s``, ``500ms``, ``1h2m3s``, plain seconds."""

from __future__ import annotations

import math
import re
from typing import Final

UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")


def parse_duration(text: str) -> float | None:
    """Read ``6m0s``, ``500ms``, ``1h2m3s`` or a bare number of seconds."""
    text = text.strip().lower()
    if _DURATION.fullmatch(text):
        total = sum(float(n) * UNIT_S[unit] for n, unit in _PART.findall(text))
        return total if math.isfinite(total) else None
    return number(text)


def number(text: str) -> float | None:
    """Read a finite number, None when it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
