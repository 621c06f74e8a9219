"""Arrange providers, prices, keys and settings in one process.

    python -m tests.rig.arrange < plan.json

The command line does one thing a call and half a second each; a test of twenty faults
needs forty providers. What is arranged goes through the same services as the screens.
Prints the texts of the client keys as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import django

NANO = 1_000_000_000


def arrange(plan: dict[str, Any]) -> dict[str, str]:
    """Carry out a plan (see `tests.rig.stage`) and return the client keys by name."""
    from django.db import transaction

    with transaction.atomic():
        for provider in plan.get("providers", []):
            _add_provider(provider)
        for account in plan.get("accounts", []):
            _add_account(account)
        for model, tokens in plan.get("windows", {}).items():
            _set_window(model, tokens)
        for name, targets in plan.get("aliases", {}).items():
            _set_alias(name, targets)
        for price in plan.get("prices", []):
            _set_price(price)
        _set_settings(plan.get("settings", {}))
        _set_routing(plan.get("routing", {}))
        return {key["name"]: _create_key(key) for key in plan.get("keys", [])}


def _add_provider(plan: dict[str, Any]) -> None:
    from poolsite.actor import CLI
    from providers.services import credentials, models, providers

    provider = providers.create_provider(
        CLI,
        slug=plan["slug"],
        enabled=plan.get("enabled", True),
        base_url=plan["base_url"],
        allow_private=True,
        **{"api_format": "openai", **plan.get("values", {})},
    )
    for secret in plan["api_keys"]:
        credentials.add_key(CLI, provider, secret)
    models.add_models(CLI, provider, plan["models"])


def _add_account(plan: dict[str, Any]) -> None:
    from oauth import services
    from poolsite.actor import CLI
    from poolsite.destinations import origin_of
    from providers.models import Provider

    provider = Provider.objects.get(slug=plan["slug"])
    place = services.Place(provider.slug, origin_of(provider.base_url))
    account = services.create_static_account(CLI, place, token=plan["token"])
    account.priority = 40
    account.save(update_fields=["priority"])


def _set_window(model: str, tokens: int) -> None:
    from providers.models import ProviderModel

    ProviderModel.objects.filter(model_id=model).update(context_window=tokens)


def _set_alias(name: str, targets: list[str]) -> None:
    from poolsite.actor import CLI
    from providers.services import models

    models.set_alias(CLI, name, targets)


def _set_price(plan: dict[str, Any]) -> None:
    from poolsite.actor import CLI
    from pricing import services
    from pricing.cost import PriceSpec

    services.set_price(CLI, plan["model"], PriceSpec(**plan["spec"]))


def _set_settings(values: dict[str, Any]) -> None:
    """Write pool-wide settings; there is no screen for most of them yet."""
    from poolsite import version
    from poolsite.models import Setting

    for name, value in values.items():
        row, _ = Setting.objects.update_or_create(
            key=f"proxy.{name}", defaults={"value": value}
        )
        version.bump(row)


def _set_routing(values: dict[str, Any]) -> None:
    from poolsite.actor import CLI
    from providers.services import routing

    if values:
        routing.change_settings(CLI, values)
        routing.publish(CLI)


def _create_key(plan: dict[str, Any]) -> str:
    from poolsite.actor import CLI
    from usage import services

    budget = plan.pop("budget_nano", None)
    window = plan.pop("window", "month")
    key, text = services.create_key(CLI, plan.pop("name"), **plan)
    if budget is not None:
        terms = services.BudgetTerms(amount_nano_usd=budget, window=window)
        services.set_key_budget(CLI, key, terms)
    return text


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    django.setup()
    print(json.dumps(arrange(json.load(sys.stdin))))
