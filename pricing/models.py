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
    batch_input = models.BigIntegerField(null=True)
    batch_output = models.BigIntegerField(null=True)
    batch_cache_read = models.BigIntegerField(null=True)
    # Who states this price, where, and of when the statement is.
    origin = models.CharField(max_length=40, blank=True, default="", db_default="")
    origin_url = models.CharField(max_length=300, blank=True, default="", db_default="")
    stated_on = models.DateField(null=True)
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
    # In force from and until; None is since ever and for ever.
    valid_from = models.DateTimeField(null=True)
    valid_to = models.DateTimeField(null=True)
    reason = models.CharField(max_length=200, blank=True, default="", db_default="")
    created_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # One that is in force since ever, and one for each moment from which
            # another one is.
            models.UniqueConstraint(
                fields=["provider_slug", "model"],
                condition=models.Q(deleted_at=None, valid_from=None),
                name="customprice_live_once",
            ),
            models.UniqueConstraint(
                fields=["provider_slug", "model", "valid_from"],
                condition=models.Q(deleted_at=None),
                name="customprice_live_once_from",
            ),
        ]

    def __str__(self) -> str:
        return (
            f"{self.provider_slug}:{self.model}" if self.provider_slug else self.model
        )


class Feed(Versioned):
    """A public source of models and prices that is asked again and again.

    Shapes: ``listing`` is the last good answer, read into our own shape and packed;
        ``held`` are changes that wait for a person, ``diff`` what the last applied
        answer changed; both as lines a screen shows.
    """

    name = models.CharField(max_length=24, unique=True)
    # Blank is the source's own address.
    url = models.CharField(max_length=300, blank=True)
    enabled = models.BooleanField(default=True)
    etag = models.CharField(max_length=200, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    listing = models.BinaryField(null=True)
    models_listed = models.PositiveIntegerField(default=0)
    # Of the last good answer: its size, and the models it stated itself.
    body_bytes = models.PositiveIntegerField(default=0)
    models_stated = models.PositiveIntegerField(default=0)
    diff = models.JSONField(default=list)
    # Exact, also where ``diff`` holds a part of the lines: {kind: lines}.
    counts = models.JSONField(default=dict)
    changed_at = models.DateTimeField(null=True)
    held = models.JSONField(default=list)
    # What a person said of held lines: {line key: "accepted" | "declined"}.
    decisions = models.JSONField(default=dict)
    checked_at = models.DateTimeField(null=True)
    fetched_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True)
    cleared_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
