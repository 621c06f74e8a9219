from __future__ import annotations

import pytest
from django.test import Client

from tests.providers.views.test_client_keys import VALUES
from usage.models import ClientKey

pytestmark = pytest.mark.django_db


def test_loading_the_page_of_a_new_key_again_says_where_it_is(
    as_olivia: Client,
) -> None:
    assert as_olivia.post("/keys/add/", VALUES).status_code == 200
    again = as_olivia.post("/keys/add/", VALUES, follow=True)
    key = ClientKey.objects.get()
    assert again.redirect_chain == [(f"/keys/{key.pk}/", 302)]
    assert b"was shown once" in again.content


def test_a_name_somebody_else_took_is_still_an_error(
    as_olivia: Client, as_oskar: Client
) -> None:
    assert as_olivia.post("/keys/add/", VALUES).status_code == 200
    assert as_oskar.post("/keys/add/", VALUES).status_code == 422
