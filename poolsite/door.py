"""Believe the door about where a browser is.

The console listens on a Unix socket that only the door can reach, so a request has no
address of its own; the door writes the client's into X-Forwarded-For, after dropping
whatever the client claimed. Sign-in limits and the audit trail need it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class DoorMiddleware:
    """Give each request the address the door saw."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Fill the address in where the connection had none; a real one stays."""
        if not request.META.get("REMOTE_ADDR"):
            hops = request.META.get("HTTP_X_FORWARDED_FOR", "")
            request.META["REMOTE_ADDR"] = hops.rpartition(",")[2].strip() or "127.0.0.1"
        return self.get_response(request)
