"""How the pool routes, as numbered revisions: one in force, at most one draft."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from poolsite.models import Versioned


class RoutingRevision(Versioned):
    """One whole state of the routing settings and fallback rules.

    ``document`` is ``providers.snapshot.types.RoutingRecord`` as JSON. The published one
    with the highest number is in force; none = the defaults. A revert publishes an
    older document again under a new number, so that history only ever grows.
    """

    number = models.PositiveIntegerField(unique=True)
    document = models.JSONField(default=dict)
    note = models.CharField(max_length=200, blank=True)
    is_draft = models.BooleanField(default=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_draft"],
                condition=models.Q(is_draft=True),
                name="routingrevision_one_draft",
            )
        ]

    def __str__(self) -> str:
        return f"routing {self.number}"
