"""The rows of delivery: where news goes, what waits, and what was sent."""

from __future__ import annotations

from django.db import models


class AlertChannel(models.Model):
    """A place news is sent to: a webhook, or addresses that get mail.

    ``target`` (the webhook's URL) and ``secret`` (what it is signed with) are
    ciphertext; ``target_origin`` is all that is ever shown of the URL.
    """

    class Kind(models.TextChoices):
        WEBHOOK = "webhook"
        MAIL = "mail"

    kind = models.CharField(max_length=8, choices=Kind)
    name = models.CharField(max_length=80, unique=True)
    enabled = models.BooleanField(default=True)
    target = models.TextField(blank=True)
    target_kid = models.CharField(max_length=16, blank=True, db_index=True)
    target_origin = models.CharField(max_length=300, blank=True)
    secret = models.TextField(blank=True)
    secret_kid = models.CharField(max_length=16, blank=True, db_index=True)
    addresses = models.JSONField(default=list)
    events = models.JSONField(default=list)
    least_severity = models.CharField(max_length=8, default="info")
    digest_s = models.PositiveIntegerField(default=60)
    untold = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    last_message_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.name


class AlertNews(models.Model):
    """One line a channel has not been told yet; the same line again only counts."""

    channel = models.ForeignKey(
        AlertChannel, on_delete=models.CASCADE, related_name="news"
    )
    event = models.CharField(max_length=60)
    fold = models.CharField(max_length=200)
    alert = models.ForeignKey("poolsite.Alert", null=True, on_delete=models.CASCADE)
    is_urgent = models.BooleanField(default=False)
    data = models.JSONField(default=dict)
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "fold"], name="alertnews_once")
        ]

    def __str__(self) -> str:
        return self.event


class AlertDelivery(models.Model):
    """One message to one channel; the same event id at every try."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        DELIVERED = "delivered"
        GAVE_UP = "gave_up"

    channel = models.ForeignKey(
        AlertChannel, on_delete=models.CASCADE, related_name="deliveries"
    )
    event_id = models.UUIDField(unique=True)
    event = models.CharField(max_length=60)
    body = models.JSONField()
    lines = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(db_index=True)
    due_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["state", "due_at"], name="alertdelivery_due")]

    def __str__(self) -> str:
        return f"{self.event} {self.event_id}"
