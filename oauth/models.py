"""OAuth sign-ins at vendors; the token columns have no other writer."""

from __future__ import annotations

from django.db import models

from poolsite.models import Versioned


class Account(Versioned):
    """One sign-in at a provider, named by slug: keys never point upwards."""

    class State(models.TextChoices):
        OK = "ok"
        NEEDS_LOGIN = "needs_login"
        UNREADABLE = "unreadable"
        DISABLED = "disabled"

    provider_slug = models.CharField(max_length=64, db_index=True)
    vendor = models.CharField(max_length=32)
    label = models.CharField(max_length=120, blank=True)
    subject = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.OK)
    enabled = models.BooleanField(default=True)
    priority = models.SmallIntegerField(default=50)
    origin = models.CharField(max_length=300)
    access_token = models.TextField(blank=True)
    access_kid = models.CharField(max_length=16, blank=True, db_index=True)
    refresh_token = models.TextField(blank=True)
    refresh_kid = models.CharField(max_length=16, blank=True, db_index=True)
    previous_refresh_token = models.TextField(blank=True)
    previous_refresh_kid = models.CharField(max_length=16, blank=True, db_index=True)
    token_version = models.BigIntegerField(default=1)
    expires_at = models.DateTimeField(null=True)
    scopes = models.JSONField(default=list)
    extra = models.JSONField(default=dict)
    plan = models.CharField(max_length=60, blank=True)
    quota = models.JSONField(null=True)
    quota_at = models.DateTimeField(null=True)
    token_file = models.CharField(max_length=400, blank=True)
    last_error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    refreshed_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.label or self.subject or f"account {self.pk}"


class SignIn(models.Model):
    """One sign-in under way, bound to the browser session that began it."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        DENIED = "denied"
        EXPIRED = "expired"
        FAILED = "failed"
        CANCELLED = "cancelled"

    key = models.CharField(max_length=64, unique=True)
    session_digest = models.CharField(max_length=64)
    provider_slug = models.CharField(max_length=64)
    origin = models.CharField(max_length=300)
    vendor = models.CharField(max_length=32)
    method = models.CharField(max_length=8)
    state = models.CharField(max_length=12, choices=State, default=State.WAITING)
    progress = models.TextField(blank=True)
    progress_kid = models.CharField(max_length=16, blank=True, db_index=True)
    used_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    code = models.CharField(max_length=60, blank=True)
    message = models.CharField(max_length=300, blank=True)
    account = models.ForeignKey(Account, null=True, on_delete=models.SET_NULL)

    def __str__(self) -> str:
        return f"{self.vendor} {self.method}"
