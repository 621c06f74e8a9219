"""Budgets, and what their windows have spent."""

from __future__ import annotations

from django.db import models

from poolsite.models import Versioned


class Budget(Versioned):
    """Money one scope may spend in one window; budgets form a tree."""

    class Scope(models.TextChoices):
        POOL = "pool"
        TEAM = "team"
        KEY = "key"
        AGENT = "agent"
        SESSION = "session"

    class Window(models.TextChoices):
        HOUR = "hour"
        DAY = "day"
        WEEK = "week"
        MONTH = "month"
        TOTAL = "total"

    class AppliesTo(models.TextChoices):
        EVERY = "", "every one"
        ONE = "one", "this one"
        AGENT = "agent", "sessions of this agent"
        PROVIDER = "provider", "sessions served by this provider"

    scope = models.CharField(max_length=8, choices=Scope)
    client_key = models.ForeignKey(
        "usage.ClientKey", null=True, on_delete=models.CASCADE
    )
    team = models.ForeignKey("usage.Team", null=True, on_delete=models.CASCADE)
    # Of agents and sessions: whom the rule is for (see budgets/personal.py).
    applies_to = models.CharField(
        max_length=8, choices=AppliesTo, blank=True, default="", db_default=""
    )
    scope_value = models.CharField(max_length=200, blank=True)
    parent = models.ForeignKey("self", null=True, on_delete=models.SET_NULL)
    amount_nano_usd = models.BigIntegerField()
    warn_nano_usd = models.BigIntegerField(null=True)
    hard = models.BooleanField(default=True)
    window = models.CharField(max_length=5, choices=Window)
    time_zone = models.CharField(max_length=64, default="UTC")
    extra_nano_usd = models.BigIntegerField(default=0)
    extra_until = models.DateTimeField(null=True)
    warn_percents = models.JSONField(default=list)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(amount_nano_usd__gte=0), name="budget_not_negative"
            )
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.amount_nano_usd} nano-USD a {self.window}"


class BudgetWindow(models.Model):
    """What one budget spent in one window, added up by the shipper."""

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE)
    window_id = models.CharField(max_length=32)
    spent_nano_usd = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "window_id"], name="budgetwindow_once"
            ),
            models.CheckConstraint(
                condition=models.Q(spent_nano_usd__gte=0),
                name="budgetwindow_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.window_id}"


class BudgetShare(models.Model):
    """Which part of a budget window's spending came through one living journal."""

    cursor = models.ForeignKey("usage.JournalCursor", on_delete=models.CASCADE)
    budget = models.ForeignKey(Budget, on_delete=models.CASCADE)
    window_id = models.CharField(max_length=32)
    spent_nano_usd = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["cursor", "budget", "window_id"], name="budgetshare_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.cursor_id} {self.budget_id} {self.window_id}"
