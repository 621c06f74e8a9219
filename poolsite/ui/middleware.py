"""Hold the rules that every console answer obeys, whatever its view forgot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.http import urlencode
from django_htmx.http import HttpResponseClientRedirect

from poolsite.ui import access
from poolsite.ui.render import vary


class ConsoleMiddleware:
    """Refuse changes by viewers, vary on htmx, keep the sign-in page out of fragments.

    Place it after HtmxMiddleware: it reads ``request.htmx``.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, then mark or redirect the answer."""
        response = self.get_response(request)
        if response.get("Content-Type", "").startswith("text/html"):
            vary(response)
        login = resolve_url(settings.LOGIN_URL)
        target = response.get("Location", "")
        if getattr(request, "htmx", None) and urlsplit(target).path == login:
            return vary(HttpResponseClientRedirect(self._login(request, login)))
        return response

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Deny by default: a form needs an operator unless its view says otherwise."""
        access.check_method(request, view)

    @staticmethod
    def _login(request: HttpRequest, login: str) -> str:
        """Come back to the page the person sees, not to the piece it asked for."""
        shown = urlsplit(getattr(request, "htmx").current_url_abs_path or "/")  # noqa: B009 # set by another middleware
        return f"{login}?{urlencode({'next': shown.geturl()})}"
