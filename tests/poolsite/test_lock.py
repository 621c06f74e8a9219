"""The locked console and the health answers without a door."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpResponse
from django.test import RequestFactory

from poolsite.health import with_health
from poolsite.lock import REASON_VARIABLE, LockMiddleware


def _never(_: Any) -> HttpResponse:
    raise AssertionError("a locked console serves nothing")


def test_unlocked_console_pays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REASON_VARIABLE, raising=False)
    with pytest.raises(MiddlewareNotUsed):
        LockMiddleware(_never)


@pytest.mark.parametrize(
    "path", ["/", "/providers/", "/api/admin/v1/keys", "/static/x"]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_every_page_says_why(
    path: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REASON_VARIABLE, "the key <b>kid1</b> is lost")
    answer = LockMiddleware(_never)(getattr(RequestFactory(), method)(path))
    assert answer.status_code == 503
    text = answer.content.decode()
    assert "the key &lt;b&gt;kid1&lt;/b&gt; is lost" in text
    assert "What to do" in text
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_of_a_locked_console_is_503(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REASON_VARIABLE, "lost")
    answer = LockMiddleware(_never)(RequestFactory().get(path))
    assert (answer.status_code, answer.content) == (503, b"locked\n")


@pytest.mark.parametrize(
    ("path", "is_locked", "status"),
    [
        ("/readyz", False, 200),
        ("/healthz", True, 503),
        ("/", False, 418),
    ],
)
async def test_console_without_a_door_answers_health_itself(
    path: str, is_locked: bool, status: int
) -> None:
    sent: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    app = with_health(inner, is_locked=is_locked)
    await app({"type": "http", "path": path}, receive, send)
    assert sent[0]["status"] == status
