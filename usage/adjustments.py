"""Later corrections of costs, and the runs that made them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from poolsite.models import Job


class CostAdjustment(models.Model):
    """A later correction of one attempt's cost; the ledger row never changes.

    Nothing is taken back by deleting: an undo adds the opposite row, so what was
    settled plus all its adjustments is the cost, always.
    """

    run = models.UUIDField()
    request_id = models.UUIDField()
    attempt_id = models.UUIDField()
    at = models.DateTimeField()
    delta_nano_usd = models.BigIntegerField()
    price_version_id = models.BigIntegerField(null=True)
    is_undo = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["run", "id"], name="adjustment_run"),
            models.Index(fields=["request_id"], name="adjustment_request"),
        ]

    def __str__(self) -> str:
        return f"{self.attempt_id} {self.delta_nano_usd:+d}"


class RecalculationRun(models.Model):
    """One recalculation: what was chosen, what it found, how far it came.

    ``prices`` are the prices it was counted with, so that what is applied is what was
    shown: [provider number, model number, price version] each.
    """

    class State(models.TextChoices):
        COUNTING = "counting", "being counted"
        DROPPED = "dropped", "dropped"
        READY = "ready", "counted"
        APPLYING = "applying", "being applied"
        STOPPED = "stopped", "partly applied"
        APPLIED = "applied", "applied"
        UNDOING = "undoing", "being undone"
        HALF_UNDONE = "half_undone", "partly undone"
        UNDONE = "undone", "undone"

    key = models.UUIDField(unique=True)
    state = models.CharField(
        max_length=12, choices=State, default=State.COUNTING, db_index=True
    )
    is_busy = models.BooleanField(default=True)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL)
    since = models.DateTimeField()
    until = models.DateTimeField()
    providers = models.JSONField(default=list)
    model_glob = models.CharField(max_length=200, blank=True)
    only_unpriced = models.BooleanField(default=False)
    with_reported = models.BooleanField(default=False)
    reason = models.CharField(max_length=200, blank=True)
    found = models.JSONField(null=True)
    prices = models.JSONField(default=list)
    cursor_at = models.DateTimeField(null=True)
    cursor_id = models.UUIDField(null=True)
    undone_to = models.BigIntegerField(default=0)
    # Corrections up to the first are in the rollups; those up to the second are being
    # added, so many rows of them were.
    rolled_to = models.BigIntegerField(default=0)
    rolling_to = models.BigIntegerField(default=0)
    rolled_rows = models.BigIntegerField(default=0)
    applied = models.BigIntegerField(default=0)
    applied_nano_usd = models.BigIntegerField(default=0)
    undone = models.BigIntegerField(default=0)
    undone_nano_usd = models.BigIntegerField(default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField()
    counted_at = models.DateTimeField(null=True)
    applied_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_busy"],
                condition=models.Q(is_busy=True),
                name="recalculation_one_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"recalculation {self.pk}"

    @property
    def figures(self) -> dict[str, Any]:
        """What the count found; nothing before its end."""
        found: dict[str, Any] = self.found or {}
        return found
