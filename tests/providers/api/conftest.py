"""A client of the admin API for each of the cast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from poolsite import tokens
from poolsite.actor import SYSTEM
from poolsite.models import User

ROOT = "/api/admin/v1"


class Api:
    """Speak JSON with a token; every answer is (status, body)."""

    def __init__(self, token: str = "") -> None:
        self.token = token
        self.client = Client()

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        answer = self.client.generic(
            method,
            ROOT + path,
            data=b"" if body is None else _encode(body),
            content_type="application/json",
            headers=headers,
        )
        return answer.status_code, answer.json() if answer.content else None


def _encode(body: Any) -> bytes:
    import json

    return body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture
def api_of() -> Callable[..., Api]:
    """Return an API client with a fresh token of somebody."""

    def make(user: User, *scopes: str) -> Api:
        name = f"t{user.apitoken_set.count()}"
        chosen = list(scopes or ["admin"])
        return Api(tokens.create_token(SYSTEM, user=user, name=name, scopes=chosen)[1])

    return make


@pytest.fixture
def owner(olivia: User, api_of: Callable[..., Api]) -> Api:
    return api_of(olivia)


@pytest.fixture
def operator(olivia: User, oskar: User, api_of: Callable[..., Api]) -> Api:
    return api_of(oskar)


@pytest.fixture
def viewer(olivia: User, viktor: User, api_of: Callable[..., Api]) -> Api:
    return api_of(viktor)
