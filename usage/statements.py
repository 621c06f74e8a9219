"""What vendors say they billed, and how it compares with the ledger."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from poolsite.models import Job


class VendorStatement(models.Model):
    """A vendor's usage file: what it says of which days, at which provider.

    The file itself is not kept, only its sums by day and model. ``found`` are the
    totals of the comparison; its lines are StatementComparison.
    """

    class State(models.TextChoices):
        READING = "reading", "not read whole"
        COMPARING = "comparing", "being compared"
        COMPARED = "compared", "compared"
        STOPPED = "stopped", "not compared"

    provider = models.CharField(max_length=64)
    shape = models.CharField(max_length=32)
    file_name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, db_index=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    first_day = models.DateField()
    last_day = models.DateField()
    currency = models.CharField(max_length=3, default="USD")
    usd_per_unit = models.CharField(max_length=40, blank=True)
    # Hundredths of a percent, and the amount below which nothing is named.
    threshold_bp = models.PositiveIntegerField(default=100)
    floor_nano_usd = models.BigIntegerField(default=10_000_000)
    rows = models.PositiveIntegerField(default=0)
    repeats = models.PositiveIntegerField(default=0)
    credits_nano_usd = models.BigIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State, default=State.READING)
    found = models.JSONField(null=True)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField()
    compared_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.provider} {self.first_day} to {self.last_day}"


class StatementLine(models.Model):
    """One day and model of a statement; None = the vendor does not say.

    ``model`` is as the vendor writes it. The ``repeated`` columns are what lines add
    that stand in the file a second time.
    """

    statement = models.ForeignKey(VendorStatement, on_delete=models.CASCADE)
    day = models.DateField()
    model = models.CharField(max_length=255, blank=True)
    cost_nano_usd = models.BigIntegerField(null=True)
    input_tokens = models.BigIntegerField(null=True)
    cache_read_tokens = models.BigIntegerField(null=True)
    cache_write_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    requests = models.BigIntegerField(null=True)
    repeats = models.PositiveIntegerField(default=0)
    repeated_nano_usd = models.BigIntegerField(default=0)
    repeated_tokens = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["statement", "day", "model"], name="statementline_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.model}"


class StatementComparison(models.Model):
    """One day and model, as billed and as the ledger has it.

    None on one side = nothing there says so. ``cause`` is a code of
    ``usage.reconciliation.causes``, ``detail`` its figures.
    """

    statement = models.ForeignKey(VendorStatement, on_delete=models.CASCADE)
    day = models.DateField()
    model = models.CharField(max_length=255, blank=True)
    ledger_models = models.JSONField(default=list)
    is_named = models.BooleanField(default=False)
    cause = models.CharField(max_length=16, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    weight_nano_usd = models.BigIntegerField(default=0)
    billed = models.JSONField(null=True)
    known = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["statement", "day", "model"], name="statementcomparison_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["statement", "is_named", "-weight_nano_usd"],
                name="statementcomparison_named",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.model}"
