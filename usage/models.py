"""Client keys, budgets, the ledger and its rollups."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from poolsite.models import Versioned
from usage import losses
from usage.adjustments import CostAdjustment as CostAdjustment
from usage.adjustments import RecalculationRun as RecalculationRun
from usage.bodies.rows import RequestBody as RequestBody
from usage.budgets.rows import Budget as Budget
from usage.budgets.rows import BudgetShare as BudgetShare
from usage.budgets.rows import BudgetWindow as BudgetWindow
from usage.saved import Export as Export
from usage.saved import SavedView as SavedView
from usage.statements import StatementComparison as StatementComparison
from usage.statements import StatementLine as StatementLine
from usage.statements import VendorStatement as VendorStatement


class Team(Versioned):
    """A group of keys that share budgets and reports."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class ClientKey(Versioned):
    """A key a client presents; only its keyed digest is stored."""

    class Access(models.TextChoices):
        ALL = "all"
        ONLY = "only"
        NONE = "none"

    class Unpriced(models.TextChoices):
        ALLOW = "allow"
        DEFAULT = "default"
        BLOCK = "block"

    name = models.CharField(max_length=120)
    public_id = models.CharField(max_length=16, unique=True)
    digest = models.CharField(max_length=64)
    pepper_id = models.CharField(max_length=16)
    last4 = models.CharField(max_length=4)
    previous_public_id = models.CharField(max_length=16, blank=True, db_index=True)
    previous_digest = models.CharField(max_length=64, blank=True)
    previous_pepper_id = models.CharField(max_length=16, blank=True)
    grace_until = models.DateTimeField(null=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL
    )
    team = models.ForeignKey(Team, null=True, on_delete=models.SET_NULL)
    tags = models.JSONField(default=list)
    model_access = models.CharField(max_length=4, choices=Access, default=Access.ALL)
    models_allowed = models.JSONField(default=list)
    provider_access = models.CharField(max_length=4, choices=Access, default=Access.ALL)
    providers_allowed = models.JSONField(default=list)
    ip_allow = models.JSONField(default=list)
    rpm = models.PositiveIntegerField(null=True)
    tpm = models.PositiveBigIntegerField(null=True)
    tpd = models.PositiveBigIntegerField(null=True)
    concurrency = models.PositiveIntegerField(null=True)
    window_requests = models.PositiveIntegerField(null=True)
    window_s = models.PositiveIntegerField(null=True)
    assumed_output_tokens = models.PositiveIntegerField(null=True)
    unpriced = models.CharField(max_length=7, choices=Unpriced, default=Unpriced.ALLOW)
    default_mode = models.CharField(max_length=16, blank=True)
    default_strategy = models.CharField(max_length=24, blank=True)
    overrides_allowed = models.JSONField(default=list)
    log_level = models.CharField(max_length=12, default="metadata")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(revoked_at=None),
                name="clientkey_live_name_once",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Dimension(models.Model):
    """A string of the ledger, stored once and referred to by number."""

    kind = models.CharField(max_length=16)
    value = models.CharField(max_length=255)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "value"], name="dimension_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


class TokenColumns(models.Model):
    """The disjoint counters of one row; None = not reported."""

    input_tokens = models.BigIntegerField(null=True)
    cache_read_tokens = models.BigIntegerField(null=True)
    cache_write_tokens = models.BigIntegerField(null=True)
    cache_write_1h_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    reasoning_tokens = models.BigIntegerField(null=True)
    audio_in_tokens = models.BigIntegerField(null=True)
    audio_out_tokens = models.BigIntegerField(null=True)
    image_in_tokens = models.BigIntegerField(null=True)
    image_out_tokens = models.BigIntegerField(null=True)
    units = models.BigIntegerField(null=True)

    class Meta:
        abstract = True


class Request(TokenColumns):
    """One client call, by day; its ids have no constraints: bills outlive rows."""

    class Outcome(models.IntegerChoices):
        OK = 1
        REFUSED = 2
        FAILED = 3
        CLIENT_CLOSED = 4
        CUT = 5
        CRASHED = 6

    pk = models.CompositePrimaryKey("id", "at")
    id = models.UUIDField()
    at = models.DateTimeField()
    status = models.SmallIntegerField()
    outcome = models.SmallIntegerField(choices=Outcome)
    error_dim = models.BigIntegerField(null=True)
    client_key_id = models.BigIntegerField(null=True)
    team_id = models.BigIntegerField(null=True)
    purpose_dim = models.BigIntegerField(null=True)
    dialect_dim = models.BigIntegerField(null=True)
    model_asked_dim = models.BigIntegerField(null=True)
    model_served_dim = models.BigIntegerField(null=True)
    provider_dim = models.BigIntegerField(null=True)
    session_dim = models.BigIntegerField(null=True)
    agent_dim = models.BigIntegerField(null=True)
    end_user_dim = models.BigIntegerField(null=True)
    mode_dim = models.BigIntegerField(null=True)
    stream = models.BooleanField(default=False)
    needs = models.IntegerField(default=0)
    input_estimate = models.BigIntegerField(null=True)
    serving_attempt = models.UUIDField(null=True)
    attempts = models.SmallIntegerField(default=0)
    cost_nano_usd = models.BigIntegerField(null=True)
    unpriced = models.BooleanField(default=False)
    estimated = models.BooleanField(default=False)
    latency_ms = models.IntegerField(null=True)
    ttft_ms = models.IntegerField(null=True)
    overhead_us = models.IntegerField(null=True)
    trail = models.JSONField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["at", "id"], name="request_at"),
            models.Index(
                fields=["client_key_id", "at", "id"], name="request_key_at_id"
            ),
            models.Index(
                fields=["session_dim", "at", "model_served_dim", "agent_dim"],
                name="request_session",
                condition=models.Q(session_dim__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Attempt(TokenColumns):
    """One upstream call and its money; partitioned by day like its Request.

    ``at`` is the Request's time, so that both live in the same partition.
    """

    pk = models.CompositePrimaryKey("id", "at")
    id = models.UUIDField()
    at = models.DateTimeField()
    request_id = models.UUIDField()
    number = models.SmallIntegerField()
    provider_id = models.BigIntegerField()
    provider_dim = models.BigIntegerField()
    credential_dim = models.BigIntegerField(null=True)
    model_dim = models.BigIntegerField()
    status = models.SmallIntegerField(null=True)
    outcome_dim = models.BigIntegerField()
    error_dim = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    # What a translation left behind: field:action, commas between.
    losses = models.CharField(max_length=200, blank=True, default="", db_default="")
    decision_dim = models.BigIntegerField(null=True)
    start_offset_ms = models.IntegerField(default=0)
    latency_ms = models.IntegerField(null=True)
    ttft_ms = models.IntegerField(null=True)
    unit_kind = models.CharField(max_length=16, blank=True)
    estimated = models.BooleanField(default=False)
    flags = models.CharField(max_length=120, blank=True)
    cost_nano_usd = models.BigIntegerField(null=True)
    vendor_cost_nano_usd = models.BigIntegerField(null=True)
    reservation_nano_usd = models.BigIntegerField(null=True)
    price_version_id = models.BigIntegerField(null=True)
    price_source_dim = models.BigIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["request_id"], name="attempt_request")]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def losses_in_words(self) -> str:
        """Say what a translation changed, and how."""
        return losses.in_words(self.losses)


class RollupColumns(models.Model):
    """Sums of one bucket; additive, so a late row only adds."""

    requests = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    attempts = models.BigIntegerField(default=0)
    unpriced = models.BigIntegerField(default=0)
    estimated = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    cache_write_1h_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)
    cost_nano_usd = models.BigIntegerField(default=0)
    latency_ms_sum = models.BigIntegerField(default=0)
    ttft_ms_sum = models.BigIntegerField(default=0)
    ttft_count = models.BigIntegerField(default=0)
    latency_hist = models.JSONField(default=dict)
    ttft_hist = models.JSONField(default=dict)

    class Meta:
        abstract = True


class Rollup15(RollupColumns):
    """A quarter of an hour of one dimension value."""

    kind = models.CharField(max_length=16)
    ref = models.BigIntegerField()
    bucket = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "bucket", "ref"], name="rollup15_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.ref} {self.bucket}"


class RollupDay(RollupColumns):
    """A UTC day of one dimension value."""

    kind = models.CharField(max_length=16)
    ref = models.BigIntegerField()
    bucket = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "bucket", "ref"], name="rollupday_once"
            )
        ]
        indexes = [
            # One value over all its days.
            models.Index(fields=["kind", "ref", "bucket"], name="rollupday_value"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.ref} {self.bucket}"


class RollupCube(RollupColumns):
    """A UTC day of provider x model x client key, for filtered views."""

    bucket = models.DateField()
    provider_dim = models.BigIntegerField()
    model_dim = models.BigIntegerField()
    client_key_id = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["bucket", "provider_dim", "model_dim", "client_key_id"],
                name="rollupcube_once",
            )
        ]
        # A filtered view reads one value over many days, not all of every day; with
        # several filters it reads what fits all of them.
        indexes = [
            models.Index(fields=["provider_dim", "bucket"], name="cube_provider"),
            models.Index(fields=["model_dim", "bucket"], name="cube_model"),
            models.Index(fields=["client_key_id", "bucket"], name="cube_key"),
            models.Index(
                fields=["provider_dim", "model_dim", "bucket"],
                name="cube_provider_model",
            ),
            models.Index(
                fields=["client_key_id", "provider_dim", "model_dim", "bucket"],
                name="cube_key_provider",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.bucket} {self.provider_dim}"


class JournalCursor(models.Model):
    """How far one journal directory was shipped; moves with the rows it shipped."""

    directory = models.CharField(max_length=64, unique=True)
    segment = models.CharField(max_length=64)
    offset = models.BigIntegerField()
    records = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.directory
