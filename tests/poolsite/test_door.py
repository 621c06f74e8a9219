from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from poolsite.door import DoorMiddleware
from poolsite.models import User

PASSWORD = "correct horse battery staple"


def _address(**meta: str) -> str:
    request = RequestFactory().get("/")
    request.META.pop("REMOTE_ADDR")
    request.META.update(meta)
    seen: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request.META["REMOTE_ADDR"])
        return HttpResponse()

    DoorMiddleware(view)(request)
    return seen[0]


def test_the_address_is_the_one_the_door_wrote() -> None:
    assert _address(HTTP_X_FORWARDED_FOR="203.0.113.9") == "203.0.113.9"


def test_an_address_of_the_connection_is_not_replaced() -> None:
    forwarded = {"REMOTE_ADDR": "198.51.100.7", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    assert _address(**forwarded) == "198.51.100.7"


@pytest.mark.django_db
def test_signing_in_over_the_unix_socket_works() -> None:
    User.objects.create_user("olivia@example.com", PASSWORD)
    client = Client(REMOTE_ADDR="", HTTP_X_FORWARDED_FOR="203.0.113.9")
    fields = {"login": "olivia@example.com", "password": PASSWORD}
    response = client.post("/accounts/login/", fields)
    assert response.status_code == 302
