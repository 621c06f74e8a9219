"""A provider and the API keys we hold at it."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models

from poolsite.models import Versioned


class Provider(Versioned):
    """Who serves: where it is, what it speaks, how it is preferred."""

    class Type(models.TextChoices):
        BUILTIN = "builtin"
        PLATFORM = "platform"
        CUSTOM = "custom"
        IDE = "ide"
        TRIAL = "trial"
        MEDIA = "media"
        ACP = "acp"

    class Location(models.TextChoices):
        CLOUD = "cloud"
        LOCAL = "local"

    class Status(models.TextChoices):
        ACTIVE = "active"
        INACTIVE = "inactive"
        ERROR = "error"

    class FormatMode(models.TextChoices):
        AUTO = "auto"
        PINNED = "pinned"

    class ModelAccess(models.TextChoices):
        ALL = "all"
        ONLY = "only"
        NONE = "none"

    class BillingOnAbort(models.TextChoices):
        CANCEL = "cancel"
        FULL = "full"

    slug = models.CharField(
        max_length=64, validators=[RegexValidator(r"^[a-z0-9][a-z0-9._-]*$")]
    )
    name = models.CharField(max_length=120)
    type = models.CharField(max_length=8, choices=Type, default=Type.CUSTOM)
    location = models.CharField(max_length=5, choices=Location, default=Location.CLOUD)
    enabled = models.BooleanField(default=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.INACTIVE)
    catalogue_id = models.CharField(max_length=64, blank=True)
    base_url = models.CharField(max_length=300)
    alternate_base_urls = models.JSONField(default=list)
    api_version = models.CharField(max_length=40, blank=True)
    api_format = models.CharField(max_length=16, default="openai")
    # Further dialects this provider speaks: {"anthropic": base URL or ""}.
    other_formats = models.JSONField(default=dict)
    auth_scheme = models.CharField(max_length=20, blank=True)
    # What a cloud needs beside a key: region, project, location, api_version ...
    options = models.JSONField(default=dict)
    format_mode = models.CharField(
        max_length=6, choices=FormatMode, default=FormatMode.AUTO
    )
    detected_format = models.CharField(max_length=16, blank=True)
    detected_base_url = models.CharField(max_length=300, blank=True)
    tls_verify = models.BooleanField(default=True)
    allow_private = models.BooleanField(default=False)
    proxy_url = models.CharField(max_length=300, blank=True)
    priority = models.SmallIntegerField(default=50, validators=[MaxValueValidator(100)])
    weight = models.PositiveIntegerField(default=1)
    headers = models.JSONField(default=dict)
    default_parameters = models.JSONField(default=dict)
    default_model = models.CharField(max_length=200, blank=True)
    forced_model = models.CharField(max_length=200, blank=True)
    thinking_level = models.CharField(max_length=16, blank=True)
    thinking_budget = models.PositiveIntegerField(null=True)
    system_prompt = models.TextField(blank=True)
    instructions = models.TextField(blank=True)
    max_tokens_field = models.CharField(max_length=40, blank=True)
    timeouts = models.JSONField(default=dict)
    model_access = models.CharField(
        max_length=4, choices=ModelAccess, default=ModelAccess.ALL
    )
    models_allowed = models.JSONField(default=list)
    rpm = models.PositiveIntegerField(null=True)
    tpm = models.PositiveBigIntegerField(null=True)
    tpd = models.PositiveBigIntegerField(null=True)
    concurrency = models.PositiveIntegerField(null=True)
    billing_on_abort = models.CharField(
        max_length=6, choices=BillingOnAbort, default=BillingOnAbort.CANCEL
    )
    icon = models.CharField(max_length=120, blank=True)
    description = models.TextField(blank=True)
    website = models.CharField(max_length=300, blank=True)
    key_url = models.CharField(max_length=300, blank=True)
    metadata_mode = models.CharField(max_length=16, blank=True)
    beta = models.BooleanField(default=False)
    last_error = models.CharField(max_length=300, blank=True)
    last_error_at = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["slug"],
                condition=models.Q(deleted_at=None),
                name="provider_live_slug_once",
            ),
            models.CheckConstraint(
                condition=models.Q(priority__gte=0, priority__lte=100),
                name="provider_priority_0_100",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ApiKey(Versioned):
    """One of our secrets towards a provider; the secret itself is ciphertext."""

    class State(models.TextChoices):
        OK = "ok"
        NEEDS_ATTENTION = "needs_attention"
        UNREADABLE = "unreadable"
        ORIGIN_CHANGED = "origin_changed"

    provider = models.ForeignKey(
        Provider, on_delete=models.CASCADE, related_name="api_keys"
    )
    label = models.CharField(max_length=120, blank=True)
    mask = models.CharField(max_length=24)
    digest = models.CharField(max_length=64, db_index=True)
    pepper_id = models.CharField(max_length=16)
    secret = models.TextField()
    enc_kid = models.CharField(max_length=16, db_index=True)
    origin = models.CharField(max_length=300)
    enabled = models.BooleanField(default=True)
    state = models.CharField(max_length=16, choices=State, default=State.OK)
    priority = models.SmallIntegerField(default=50)
    weight = models.PositiveIntegerField(default=1)
    rpm = models.PositiveIntegerField(null=True)
    tpm = models.PositiveBigIntegerField(null=True)
    concurrency = models.PositiveIntegerField(null=True)
    last_error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    tested_at = models.DateTimeField(null=True)
    retire_at = models.DateTimeField(null=True)
    revived_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "digest"],
                condition=models.Q(deleted_at=None),
                name="apikey_live_once",
            )
        ]

    def __str__(self) -> str:
        return self.label or self.mask
