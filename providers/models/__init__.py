"""The rows of the roof; Django finds them through this module."""

from __future__ import annotations

from providers.models.discovered import (
    AccountStatus,
    ModelList,
    ProbeResult,
    ProbeRun,
)
from providers.models.model import (
    Alias,
    AliasTarget,
    Fact,
    ProviderModel,
    StatusChange,
)
from providers.models.provider import ApiKey, Provider
from providers.models.routing import RoutingRevision

__all__ = [
    "AccountStatus",
    "Alias",
    "AliasTarget",
    "ApiKey",
    "Fact",
    "ModelList",
    "ProbeResult",
    "ProbeRun",
    "Provider",
    "ProviderModel",
    "RoutingRevision",
    "StatusChange",
]
