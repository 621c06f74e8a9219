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
    FallbackRule,
    ProviderModel,
    StatusChange,
)
from providers.models.provider import ApiKey, Provider

__all__ = [
    "AccountStatus",
    "Alias",
    "AliasTarget",
    "ApiKey",
    "Fact",
    "FallbackRule",
    "ModelList",
    "ProbeResult",
    "ProbeRun",
    "Provider",
    "ProviderModel",
    "StatusChange",
]
