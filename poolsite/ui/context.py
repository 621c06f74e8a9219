"""Give every template the shell and the person's rights."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from poolsite.ui import access
from poolsite.ui.shell import Shell


def console(request: HttpRequest) -> dict[str, Any]:
    """Return the context of every page; nothing is read before a template asks."""
    return {
        "shell": Shell(request),
        "can_operate": lambda: access.has_role(request, access.OPERATOR),
        "is_owner": lambda: access.has_role(request, access.OWNER),
    }
