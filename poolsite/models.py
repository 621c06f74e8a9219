"""The ground's rows: people, settings, nodes, versions, audit, jobs, alerts."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models

from poolsite.delivery.rows import AlertChannel as AlertChannel
from poolsite.delivery.rows import AlertDelivery as AlertDelivery
from poolsite.delivery.rows import AlertNews as AlertNews


class Versioned(models.Model):
    """A configuration row the data plane learns of through snapshots."""

    changed_at_version = models.BigIntegerField(default=0, db_index=True)

    class Meta:
        abstract = True


class UserManager(BaseUserManager["User"]):
    """Make users that sign in by email."""

    use_in_migrations = True

    def create_user(
        self, email: str, password: str | None = None, **fields: Any
    ) -> User:
        """Create a person; the email is normalised to lower case."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        """Find a person by email, whatever its case."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person who may open the console; the role is a Group."""

    class Theme(models.TextChoices):
        SYSTEM = "system"
        LIGHT = "light"
        DARK = "dark"

    class Density(models.TextChoices):
        COMPACT = "compact"
        COMFORTABLE = "comfortable"

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    theme = models.CharField(max_length=8, choices=Theme, default=Theme.SYSTEM)
    density = models.CharField(max_length=12, choices=Density, default=Density.COMPACT)
    shortcuts = models.BooleanField(default=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.email


class Setting(Versioned):
    """One named value; a secret one holds ciphertext only."""

    key = models.CharField(max_length=120, unique=True)
    value = models.JSONField(null=True)
    secret = models.BooleanField(default=False)
    ciphertext = models.TextField(blank=True)
    enc_kid = models.CharField(max_length=16, blank=True, db_index=True)

    def __str__(self) -> str:
        return self.key


class Node(models.Model):
    """One running node (a data directory) and the lease of its planes."""

    id = models.UUIDField(primary_key=True)
    name = models.CharField(max_length=120)
    planes = models.CharField(max_length=32, default="all")
    product_version = models.CharField(max_length=32)
    key_ids = models.JSONField(default=list)
    snapshot_version = models.BigIntegerField(default=0)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField(db_index=True)
    data_lease_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class ConfigVersion(models.Model):
    """The one counter that every configuration change raises."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    version = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(id=1), name="configversion_single_row"
            )
        ]

    def __str__(self) -> str:
        return str(self.version)


class Tombstone(models.Model):
    """Says that a configuration row is gone, so that deltas can say it too."""

    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=200)
    version = models.BigIntegerField(db_index=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Canary(models.Model):
    """A known text encrypted at first boot: proves the keys are the right ones."""

    kid = models.CharField(max_length=16)
    token = models.TextField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.kid


class EncryptionKey(models.Model):
    """A key id the installation knows, and where its rotation stands."""

    class State(models.TextChoices):
        DECRYPT_ONLY = "decrypt_only"
        PRIMARY = "primary"
        RETIRED = "retired"

    kid = models.CharField(max_length=16, unique=True)
    state = models.CharField(max_length=16, choices=State)
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kid} {self.state}"


class OneTimeToken(models.Model):
    """A digest of a token that opens one door once (setup, invitation)."""

    kind = models.CharField(max_length=24)
    digest = models.CharField(max_length=64, unique=True)
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.kind


class ApiToken(models.Model):
    """A token of the admin API or of the metrics, by scope; digest only."""

    name = models.CharField(max_length=120)
    public_id = models.CharField(max_length=16, unique=True)
    digest = models.CharField(max_length=64)
    pepper_id = models.CharField(max_length=16)
    scopes = models.JSONField(default=list)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class AuditEvent(models.Model):
    """One thing somebody did; append only, each row chained to the one before."""

    at = models.DateTimeField(db_index=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)
    actor_label = models.CharField(max_length=254)
    source = models.CharField(max_length=16)
    action = models.CharField(max_length=64, db_index=True)
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_label = models.CharField(max_length=254, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    result = models.CharField(max_length=16, default="ok")
    ip = models.CharField(max_length=45, blank=True)
    prev_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    class Meta:
        indexes = [
            models.Index(fields=["object_type", "object_id"], name="audit_object")
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_label}"


class Job(models.Model):
    """A piece of work a person started and may watch, cancel, resume."""

    class State(models.TextChoices):
        NEW = "new"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"
        INTERRUPTED = "interrupted"

    task = models.CharField(max_length=80)
    label = models.CharField(max_length=200)
    args = models.JSONField(default=dict)
    state = models.CharField(max_length=12, choices=State, default=State.NEW)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)
    message = models.CharField(max_length=200, blank=True)
    result = models.JSONField(null=True)
    cancel_requested = models.BooleanField(default=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(db_index=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["state", "created_at"], name="job_state")]

    def __str__(self) -> str:
        return self.label


class DueTask(models.Model):
    """A periodic task and when it is due; the row, not the broker, is the truth."""

    task = models.CharField(max_length=80, unique=True)
    interval_s = models.PositiveIntegerField()
    due_at = models.DateTimeField(db_index=True)
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.task


class Alert(models.Model):
    """Something that needs a person; raised many times, listed once."""

    class Severity(models.TextChoices):
        INFO = "info"
        WARNING = "warning"
        ERROR = "error"

    kind = models.CharField(max_length=60)
    key = models.CharField(max_length=200)
    severity = models.CharField(max_length=8, choices=Severity)
    title = models.CharField(max_length=200)
    detail = models.CharField(max_length=500, blank=True)
    link = models.CharField(max_length=200, blank=True)
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=254, blank=True)
    resolved_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "key"],
                condition=models.Q(resolved_at=None),
                name="alert_open_once",
            )
        ]

    def __str__(self) -> str:
        return self.title
