"""Limit strangers: callers without a usable key, counted per source network.

A wrong key costs a few microseconds to refuse, so this protects logs and patience
rather than the pool. Callers with a valid key are never slowed by their neighbours.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import Final

_MAX_ROWS: Final = 10_000
_V4_BYTES: Final = 4
_V6_BYTES: Final = 8


class StrangerTable:
    """A token bucket per source prefix (an IPv4 address, an IPv6 /64).

    Units:  ``per_minute`` refusals are answered 401, the rest 429.
    Cost:   under a microsecond; at most 10,000 rows, the oldest half is dropped.
    """

    __slots__ = ("_burst", "_rate", "_rows")

    def __init__(self, per_minute: int = 60) -> None:
        self._burst = float(per_minute)
        self._rate = per_minute / 60.0
        self._rows: dict[bytes, tuple[float, float]] = {}

    def retry_after(self, peer: str, now: float) -> float | None:
        """Count one refusal; return seconds to wait once there were too many.

        Units:  ``now`` in monotonic seconds.
        """
        prefix = _prefix(peer)
        level, at = self._rows.pop(prefix, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        if len(self._rows) >= _MAX_ROWS:
            for old in list(self._rows)[: _MAX_ROWS // 2]:
                del self._rows[old]
        if level < 1.0:
            self._rows[prefix] = (level, now)
            return (1.0 - level) / self._rate
        self._rows[prefix] = (level - 1.0, now)
        return None


@lru_cache(maxsize=4096)
def _prefix(peer: str) -> bytes:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return b""
    if isinstance(address, IPv4Address):
        return address.packed[:_V4_BYTES]
    mapped = address.ipv4_mapped
    return mapped.packed if mapped else address.packed[:_V6_BYTES]
