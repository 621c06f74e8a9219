"""What was found out about providers by asking them: lists, balances, probes."""

from __future__ import annotations

from django.db import models

from poolsite.models import Job
from providers.models.model import ProviderModel
from providers.models.provider import Provider


class ModelList(models.Model):
    """The last good model list of one provider, as the provider told it.

    Shapes: ``entries`` are the listed models with their facts. A failed fetch keeps
        them and notes the error.
    """

    provider = models.OneToOneField(
        Provider, on_delete=models.CASCADE, related_name="model_list"
    )
    entries = models.JSONField(default=list)
    shape = models.CharField(max_length=24, blank=True)
    fetched_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.provider_id}: {self.fetched_at}"


class AccountStatus(models.Model):
    """What a vendor last said about the account behind one credential.

    Shapes: ``credential`` is ``key:12`` or ``account:3``; ``items`` are
        ``{"key", "label", "value", "unit", "limit", "resets_at"}`` with decimal text
        values; ``left`` is the primary one's, None when none says what is left.
        ``fetched_at`` is of the last good answer, which an error leaves in place.
    """

    class Kind(models.TextChoices):
        BALANCE = "balance"
        CREDITS = "credits"
        QUOTA = "quota"
        UNSUPPORTED = "unsupported"

    provider = models.ForeignKey(
        Provider, on_delete=models.CASCADE, related_name="account_statuses"
    )
    credential = models.CharField(max_length=64)
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.UNSUPPORTED)
    primary_item = models.CharField(max_length=40, blank=True)
    items = models.JSONField(default=list)
    left = models.DecimalField(max_digits=28, decimal_places=9, null=True)
    unit = models.CharField(max_length=12, blank=True)
    plan = models.CharField(max_length=60, blank=True)
    error = models.CharField(max_length=40, blank=True)
    fetched_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "credential"], name="accountstatus_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.credential}"


class ProbeRun(models.Model):
    """One round of probes: what was asked for, and the job that does it."""

    job = models.OneToOneField(
        Job, null=True, on_delete=models.SET_NULL, related_name="probe_run"
    )
    concurrency = models.PositiveSmallIntegerField(default=5)
    timeout_s = models.PositiveSmallIntegerField(default=10)
    disable_missing = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"probes of {self.created_at}"


class ProbeResult(models.Model):
    """One model's place in a round; a resumed round asks only what is waiting."""

    class State(models.TextChoices):
        WAITING = "waiting"
        OK = "ok"
        MISSING = "missing"
        UNPROVEN = "unproven"
        SKIPPED = "skipped"

    run = models.ForeignKey(ProbeRun, on_delete=models.CASCADE, related_name="results")
    model = models.ForeignKey(
        ProviderModel, on_delete=models.CASCADE, related_name="probes"
    )
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=200, blank=True)
    latency_ms = models.PositiveIntegerField(null=True)
    cost_nano_usd = models.BigIntegerField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "model"], name="proberesult_once")
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.model_id} {self.state}"
