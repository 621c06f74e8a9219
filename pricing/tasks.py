"""The background work of prices: three-line shells over the services that do it."""

from __future__ import annotations
