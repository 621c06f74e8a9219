"""Keep how a person wants the console to look."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from poolsite import people
from poolsite.actor import person
from poolsite.models import User
from poolsite.ui import access, shell
from poolsite.ui.render import wants_piece

_YEAR_S: Final = 365 * 24 * 3600


@login_not_required
@access.open_to_viewers
@require_POST
def preferences(request: HttpRequest) -> HttpResponse:
    """Keep theme, density or sidebar, then go back to where the person was.

    The theme also works before sign-in, so it lives in a cookie as well as on the
    person. What is not understood is ignored: nothing here is worth an error page.
    """
    if wants_piece(request):
        response = HttpResponse(status=204)
    else:
        response = redirect(_safe_next(request))
    theme = request.POST.get("theme", "")
    if theme in shell.THEMES:
        _remember(response, shell.THEME_COOKIE, theme)
    sidebar = request.POST.get("sidebar", "")
    if sidebar in ("open", "collapsed"):
        _remember(response, shell.SIDEBAR_COOKIE, sidebar)
    _keep_on_person(request, theme, request.POST.get("density", ""))
    return response


def _keep_on_person(request: HttpRequest, theme: str, density: str) -> None:
    if not request.user.is_authenticated:
        return
    changed = {}
    if theme in shell.THEMES:
        changed["theme"] = theme
    if density in User.Density.values:
        changed["density"] = density
    if changed:
        actor = person(request.user, ip=request.META.get("REMOTE_ADDR", ""))
        people.change_preferences(actor, user=request.user, **changed)


def _remember(response: HttpResponse, name: str, value: str) -> None:
    response.set_cookie(
        name,
        value,
        max_age=_YEAR_S,
        samesite="Lax",
        httponly=True,
        secure=settings.SESSION_COOKIE_SECURE,
    )


def _safe_next(request: HttpRequest) -> str:
    target = request.POST.get("next", "/")
    is_ours = url_has_allowed_host_and_scheme(target, allowed_hosts=None)
    return target if is_ours and target.startswith("/") else "/"
