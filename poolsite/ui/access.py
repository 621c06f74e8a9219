"""Decide who may see and do what in the console.

Nobody passes without a session (``LoginRequiredMiddleware``), and a viewer passes no
form (``ConsoleMiddleware``) unless the view says otherwise here. A view that needs more
than looking says so in its first line: ``@require_role(OPERATOR)``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from poolsite.accounts import OPERATOR, OWNER, VIEWER, role_of

__all__ = [
    "OPERATOR",
    "OWNER",
    "VIEWER",
    "RoleNeededError",
    "check",
    "find",
    "has_role",
    "open_to_viewers",
    "require_role",
]

_RANK: Final = {VIEWER: 1, OPERATOR: 2, OWNER: 3}
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_ROLE: Final = "pool_role"

P = ParamSpec("P")
R = TypeVar("R", bound=HttpResponseBase)
M = TypeVar("M", bound=Model)
View = Callable[Concatenate[HttpRequest, P], R]


class RoleNeededError(PermissionDenied):
    """The person is known but their role is not enough."""

    def __init__(self, role: str) -> None:
        super().__init__(f"This needs the role {role}.")
        self.role = role


def has_role(request: HttpRequest, role: str) -> bool:
    """Tell whether the signed-in person's role is at least ``role``."""
    user = request.user
    if not user.is_authenticated:
        return False
    return _RANK[role_of(user)] >= _RANK[role]


def check(request: HttpRequest, role: str) -> None:
    """Refuse the request unless the person's role is at least ``role``.

    Errors: RoleNeededError, which the 403 page explains.
    """
    if not has_role(request, role):
        raise RoleNeededError(role)


def require_role(role: str) -> Callable[[View[P, R]], View[P, R]]:
    """Guard a view: refuse it below ``role``, for every method."""

    def decorate(view: View[P, R]) -> View[P, R]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> R:
            check(request, role)
            return view(request, *args, **kwargs)

        setattr(guarded, _OWN_ROLE, role)
        return guarded

    return decorate


def open_to_viewers(view: Callable[P, R]) -> Callable[P, R]:
    """Let viewers send this form too: their own theme, password, sign-out."""
    setattr(view, _OWN_ROLE, VIEWER)
    return view


def check_method(request: HttpRequest, view: Callable[..., Any]) -> None:
    """Refuse a change by a viewer when the view has not opened itself to them.

    Errors: RoleNeededError. Pages about one's own account belong to allauth.
    """
    if request.method in _SAFE_METHODS or _is_own_account(view):
        return
    if request.user.is_authenticated:
        check(request, getattr(view, _OWN_ROLE, OPERATOR))


def _is_own_account(view: Callable[..., Any]) -> bool:
    return view.__module__.partition(".")[0] == "allauth"


def find(rows: type[M] | QuerySet[M], what: str = "", **lookup: Any) -> M:
    """Return the one row, or answer 404 with a sentence that names what is missing.

    Errors: Http404, also for a lookup value of the wrong type.
    """
    queryset: QuerySet[M] = (
        rows if isinstance(rows, QuerySet) else rows._default_manager.all()
    )
    try:
        return queryset.get(**lookup)
    except (ObjectDoesNotExist, ValueError) as exc:
        name = what or str(queryset.model._meta.verbose_name)
        raise Http404(f"There is no such {name}. It may have been deleted.") from exc
