"""What people keep of the usage screens: views they saved, and files they had written."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from poolsite.models import Job


class SavedView(models.Model):
    """One person's name for an address of the usage screen; its link opens for all."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=80)
    query = models.CharField(max_length=2000)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="savedview_once")
        ]

    def __str__(self) -> str:
        return self.name


class Export(models.Model):
    """A file a job writes for somebody; the row outlives neither file nor week.

    ``query`` is the address it was asked from, ``time_zone`` whose days it means, and
    ``asked_at`` the moment "the last 7 days" counts back from.
    """

    key = models.UUIDField(unique=True)
    kind = models.CharField(max_length=16)
    query = models.CharField(max_length=2000)
    time_zone = models.CharField(max_length=64, default="UTC")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL)
    rows = models.BigIntegerField(null=True)
    size_bytes = models.BigIntegerField(null=True)
    asked_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.query}"

    @property
    def is_ready(self) -> bool:
        """Say whether there is a file."""
        return self.finished_at is not None
