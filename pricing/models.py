"""Price versions and the custom prices people set."""

from __future__ import annotations

from django.db import models

from poolsite.models import Versioned


class PriceVersion(models.Model):
    """One immutable price; a bill names the version it was computed with.

    Units: integer nano-USD per million units; None = unknown, 0 = free.
    """

    key = models.CharField(max_length=200, db_index=True)
    provider_slug = models.CharField(max_length=64, blank=True)
    source = models.CharField(max_length=24)
    digest = models.CharField(max_length=64, unique=True)
    input = models.BigIntegerField(null=True)
    output = models.BigIntegerField(null=True)
    cache_read = models.BigIntegerField(null=True)
    cache_write = models.BigIntegerField(null=True)
    cache_write_1h = models.BigIntegerField(null=True)
    reasoning = models.BigIntegerField(null=True)
    audio_in = models.BigIntegerField(null=True)
    audio_out = models.BigIntegerField(null=True)
    image_in = models.BigIntegerField(null=True)
    image_out = models.BigIntegerField(null=True)
    per_request = models.BigIntegerField(null=True)
    per_image = models.BigIntegerField(null=True)
    per_second = models.BigIntegerField(null=True)
    per_video_second = models.BigIntegerField(null=True)
    per_character = models.BigIntegerField(null=True)
    per_tool_call = models.BigIntegerField(null=True)
    long_threshold = models.BigIntegerField(null=True)
    long_input = models.BigIntegerField(null=True)
    long_output = models.BigIntegerField(null=True)
    long_cache_read = models.BigIntegerField(null=True)
    long_cache_write = models.BigIntegerField(null=True)
    long_cache_write_1h = models.BigIntegerField(null=True)
    flex_input = models.BigIntegerField(null=True)
    flex_output = models.BigIntegerField(null=True)
    flex_cache_read = models.BigIntegerField(null=True)
    priority_input = models.BigIntegerField(null=True)
    priority_output = models.BigIntegerField(null=True)
    priority_cache_read = models.BigIntegerField(null=True)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    created_by = models.CharField(max_length=254, blank=True)

    def __str__(self) -> str:
        return f"{self.key} ({self.source})"


class CustomPrice(Versioned):
    """A price a person set for a model, a pattern, or the unknown."""

    provider_slug = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=200)
    is_pattern = models.BooleanField(default=False)
    version = models.ForeignKey(PriceVersion, on_delete=models.PROTECT)
    created_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider_slug", "model"],
                condition=models.Q(deleted_at=None),
                name="customprice_live_once",
            )
        ]

    def __str__(self) -> str:
        return (
            f"{self.provider_slug}:{self.model}" if self.provider_slug else self.model
        )
