"""The small site of ``site.py`` and one person of each role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from poolsite.accounts import ROLES, set_role
from poolsite.models import User

OURS = {
    "poolsite.lock.LockMiddleware",
    "poolsite.setup.FirstRunMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def site(settings: Any) -> Any:
    """Serve the test site through the product's middleware."""
    settings.ROOT_URLCONF = "tests.poolsite.ui.site"
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name not in OURS]
    template = {**settings.TEMPLATES[0]}
    template["DIRS"] = [*template["DIRS"], "tests/poolsite/ui/templates"]
    settings.TEMPLATES = [template]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return settings


@pytest.fixture
def people(db: None) -> dict[str, User]:
    """One person of each role."""
    found = {}
    for role in ROLES:
        found[role] = User.objects.create_user(f"{role}@example.com", "correct horse")
        set_role(found[role], role)
    return found


@pytest.fixture
def sign_in(site: Any, people: dict[str, User]) -> Callable[[str], Client]:
    """Return a client signed in as somebody with that role."""

    def signed_in(role: str) -> Client:
        client = Client()
        client.force_login(people[role])
        return client

    return signed_in


@pytest.fixture
def owner(sign_in: Callable[[str], Client]) -> Client:
    return sign_in("owner")
