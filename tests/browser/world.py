"""Rows like those of a pool that has run for a week."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from poolsite import alerts
from poolsite.clock import SystemClock
from pricing.tokens import TokenUsage
from providers.models import ApiKey
from providers.services import models, providers, routing, routing_rules
from providers.snapshot.types import RuleRecord
from tests.factories import (
    SYSTEM,
    call,
    failed_at,
    make_client_key,
    make_provider,
    ship,
    try_at,
)
from usage import services
from usage.limits.windows import window_at
from usage.models import Budget, BudgetWindow

_SERVED = [
    ("openai", "gpt-5-mini"),
    ("openai", "gpt-5"),
    ("groq", "llama-3.3-70b-versatile"),
    ("deepseek", "deepseek-chat"),
    ("ollama", "qwen3:8b"),
]


def build(requests: int = 60) -> dict[str, Any]:
    """Make the rows and return what tests name: ids of telling requests, a key."""
    made = _providers()
    _routing()
    keys = _keys()
    dice = random.Random(4)
    now = datetime.now(UTC)
    calls = []
    for number in range(requests):
        slug, model = dice.choice(_SERVED)
        latency = int(dice.lognormvariate(7, 0.7))
        usage = TokenUsage(
            input_tokens=dice.randint(200, 9000),
            cache_read_tokens=dice.choice([0, 2048]),
            output_tokens=dice.randint(20, 1800),
        )
        one = try_at(
            made[slug], model, usage=usage, latency_ms=latency, ttft_ms=latency // 4
        )
        at = now - timedelta(minutes=3 + 20 * number)
        key = dice.choice(list(keys.values()))
        agent = dice.choice(["claude-code", "codex", "SDK", ""])
        calls.append(call(key, one, at=at, agent=agent, stream=True))
    good = try_at(made["groq"], "llama-3.3-70b-versatile", start_ms=480)
    told = {
        "fallback": call(
            keys["ci-runner"],
            failed_at(made["openai"], "gpt-5-mini", status=429, error="rate_limited"),
            failed_at(made["deepseek"], "deepseek-chat", start_ms=320),
            good,
            asked="smart-model",
            at=now - timedelta(minutes=2),
        ),
        "failed": call(
            keys["my-laptop"],
            failed_at(made["openai"], "gpt-5", decision="exhausted", status=None),
            error_code="upstream_failed",
            at=now - timedelta(minutes=1),
        ),
        "refused": call(
            keys["ci-runner"],
            error_code="budget_exceeded",
            at=now - timedelta(seconds=50),
        ),
        "cut": call(
            keys["my-laptop"],
            replace(good, outcome="cut", estimated=True),
            outcome="cut",
            status=200,
            at=now - timedelta(seconds=40),
        ),
        "unpriced": call(
            keys["my-laptop"],
            try_at(made["openrouter"], "nobody/knows-this"),
            at=now - timedelta(seconds=30),
        ),
    }
    ids = dict(zip(told, ship(*told.values()), strict=True))
    ship(*calls)
    _spend(keys, now)
    alerts.raise_alert(
        "journal",
        "disk",
        severity="warning",
        title="Journal disk is 85 % full",
        detail="4.1 GB left.",
        clock=SystemClock(),
    )
    return {**ids, "key": keys["ci-runner"], "providers": made}


def _providers() -> dict[str, Any]:
    def add(slug: str, name: str, *models: str, **values: Any) -> Any:
        return make_provider(slug, name=name, models=models, **values)

    cloud = {"keys": ["sk-cloud-0123456789abcdef"]}
    made = {
        "openai": add("openai", "OpenAI", "gpt-5-mini", "gpt-5", priority=80, **cloud),
        "groq": add("groq", "Groq", "llama-3.3-70b-versatile", **cloud),
        "deepseek": add("deepseek", "DeepSeek", "deepseek-chat", **cloud),
        "ollama": add(
            "ollama", "Local Ollama", "qwen3:8b", location="local", tested=False
        ),
        "openrouter": add(
            "openrouter",
            "OpenRouter",
            "nobody/knows-this",
            *(f"vendor/model-{number}" for number in range(60)),
            **cloud,
        ),
        "mistral": add("mistral", "Mistral", "mistral-large-latest", **cloud),
    }
    providers.set_enabled(SYSTEM, made["openrouter"], enabled=False)
    providers.record_test(made["mistral"], error="The provider refused the key (401).")
    ApiKey.objects.filter(provider=made["mistral"]).update(
        state="needs_attention", last_error="401: invalid api key"
    )
    return made


def _routing() -> None:
    """One routing in force, a draft with a rule that leads nowhere, an alias."""
    models.set_alias(SYSTEM, "fast", ["gpt-5-mini", "groq/llama-3.3-70b-versatile"])
    rule = RuleRecord(trigger="error", action="switch_provider", provider="groq")
    routing_rules.add_rule(SYSTEM, rule)
    routing.publish(SYSTEM, note="The usual")
    gone = RuleRecord(
        trigger="rate_limit",
        action="switch_provider",
        provider="gone",
        models=("gpt-*",),
        name="When it is busy",
    )
    routing_rules.add_rule(SYSTEM, gone)
    routing.change_settings(SYSTEM, {"strategy": "cost", "groups": ["free", "paid"]})


def _keys() -> dict[str, Any]:
    made = {
        "my-laptop": make_client_key("my-laptop")[0],
        "ci-runner": make_client_key("ci-runner", budget_usd="1", rpm=60)[0],
        "support-bot": make_client_key(
            "support-bot",
            budget_usd="25",
            model_access="only",
            models_allowed=["gpt-5-*", "llama-*"],
        )[0],
    }
    gone, _ = make_client_key("old-key")
    services.revoke_key(SYSTEM, gone)
    return made


def _spend(keys: dict[str, Any], now: datetime) -> None:
    for name, part in (("ci-runner", 1.02), ("support-bot", 0.86)):
        budget = Budget.objects.get(client_key=keys[name])
        BudgetWindow.objects.create(
            budget=budget,
            window_id=window_at(budget.window, budget.time_zone, now).id,
            spent_nano_usd=int(budget.amount_nano_usd * part),
            updated_at=now,
        )
