"""The store of prompts and answers: apart from the ledger, with an end of its own."""

from __future__ import annotations

from django.db import models


class RequestBody(models.Model):
    """What is kept of one call, without secrets, compressed.

    It stands beside the ledger: nothing refers to it, and it goes earlier. ``at`` is
    the request's own time. Sizes are what passed; None = that side never came.
    """

    request_id = models.UUIDField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    asked = models.BinaryField(null=True)
    asked_bytes = models.BigIntegerField(null=True)
    asked_is_cut = models.BooleanField(default=False)
    answered = models.BinaryField(null=True)
    answered_bytes = models.BigIntegerField(null=True)
    answered_is_cut = models.BooleanField(default=False)

    def __str__(self) -> str:
        return str(self.request_id)
