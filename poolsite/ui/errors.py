"""Answer errors with a sentence and its cure, as a page or, for htmx, as one line.

The site's ``handler400`` and friends and ``CSRF_FAILURE_VIEW`` point here. The page for
500 reads no database and no session: whatever broke may be one of them.
"""

from __future__ import annotations

import logging
import secrets

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from poolsite.ui.access import RoleNeededError
from poolsite.ui.render import vary, wants_piece

logger = logging.getLogger(__name__)


@login_not_required
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that the request itself cannot be understood."""
    return _answer(request, 400, {"reason": _said(exception)})


@login_not_required
def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say which role is needed."""
    role = exception.role if isinstance(exception, RoleNeededError) else ""
    return _answer(request, 403, {"reason": _said(exception), "role": role})


@login_not_required
def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say what is missing; a plain wrong address needs no reason."""
    reason = _said(exception)
    return _answer(request, 404, {"reason": reason})


@login_not_required
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that the form is too old; the browser still holds what was typed."""
    return _answer(request, 403, {}, template="403_csrf.html")


@login_not_required
def server_error(request: HttpRequest) -> HttpResponse:
    """Say that we failed, with an id that leads to the line in the log."""
    error_id = secrets.token_hex(6)
    logger.error("console error %s on %s", error_id, request.path)
    name = "ui/_problem.html" if _is_piece(request) else "500.html"
    values = {"error_id": error_id, "code": 500}
    return vary(HttpResponse(render_to_string(name, values), status=500))


def _answer(
    request: HttpRequest, code: int, context: dict[str, str], *, template: str = ""
) -> HttpResponse:
    page = template or f"{code}.html"
    name = "ui/_problem.html" if _is_piece(request) else page
    values = {"code": code, "is_stale_form": bool(template), **context}
    return vary(HttpResponse(render_to_string(name, values, request), status=code))


def _is_piece(request: HttpRequest) -> bool:
    return wants_piece(request)


def _said(exception: Exception) -> str:
    """Return our own sentence; Django's 404 of the resolver carries a dict instead."""
    said = exception.args[0] if exception.args else ""
    return said if isinstance(said, str) and said.endswith(".") else ""
