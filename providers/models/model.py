"""Upstream models, aliases for them, and what the data plane learnt about them."""

from __future__ import annotations

from django.db import models

from poolsite.models import Versioned
from providers.models.provider import Provider


class ProviderModel(Versioned):
    """One upstream model at one provider."""

    class Source(models.TextChoices):
        MANUAL = "manual"
        DISCOVERED = "discovered"
        CATALOGUE = "catalogue"

    provider = models.ForeignKey(
        Provider, on_delete=models.CASCADE, related_name="models"
    )
    model_id = models.CharField(max_length=200)
    display_name = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    source = models.CharField(max_length=10, choices=Source, default=Source.MANUAL)
    enabled = models.BooleanField(default=True)
    exhausted = models.BooleanField(default=False)
    deprecated = models.BooleanField(default=False)
    capabilities = models.JSONField(default=dict)
    # The dialects this model is served in, where they are not its provider's.
    formats = models.JSONField(default=list)
    context_window = models.PositiveIntegerField(null=True)
    max_output_tokens = models.PositiveIntegerField(null=True)
    timeout_s = models.PositiveIntegerField(null=True)
    benchmark_score = models.FloatField(null=True)
    benchmark_url = models.CharField(max_length=300, blank=True)
    probe_ok = models.BooleanField(null=True)
    probe_at = models.DateTimeField(null=True)
    probe_ms = models.PositiveIntegerField(null=True)
    probe_note = models.CharField(max_length=200, blank=True, default="", db_default="")
    # Capabilities an upstream answer proved or refuted: {"tools": true, ...}.
    evidence = models.JSONField(default=dict)
    # Names of facts a person set: no list, catalogue or guess replaces them.
    by_hand = models.JSONField(default=list)
    # Since when the provider's own list is without it; its flags stay.
    gone_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "model_id"],
                condition=models.Q(deleted_at=None),
                name="providermodel_live_once",
            )
        ]

    def __str__(self) -> str:
        return self.model_id


class Alias(Versioned):
    """A name clients may ask for, leading to ordered targets."""

    name = models.CharField(max_length=200)
    description = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(deleted_at=None),
                name="alias_live_name_once",
            )
        ]

    def __str__(self) -> str:
        return self.name


class AliasTarget(models.Model):
    """One target of an alias; a blank provider means whoever serves the model."""

    alias = models.ForeignKey(Alias, on_delete=models.CASCADE, related_name="targets")
    position = models.PositiveSmallIntegerField()
    provider_slug = models.CharField(max_length=64, blank=True)
    model_id = models.CharField(max_length=200)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.provider_slug}/{self.model_id}"


class Fact(models.Model):
    """The durable copy of live state the data plane learnt (cooldown, format...)."""

    kind = models.CharField(max_length=24)
    key = models.CharField(max_length=250)
    payload = models.JSONField(default=dict)
    at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], name="fact_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class StatusChange(models.Model):
    """A provider or credential changed its state: when, from, to, why."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE)
    credential = models.CharField(max_length=64, blank=True)
    before = models.CharField(max_length=24)
    after = models.CharField(max_length=24)
    reason = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.provider_id} {self.before} -> {self.after}"
