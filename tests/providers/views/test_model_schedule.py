"""How often model lists are fetched, set in the console."""

from __future__ import annotations

import pytest
from django.test import Client

from poolsite.actor import SYSTEM
from poolsite.models import AuditEvent
from providers.services import list_rounds

pytestmark = pytest.mark.django_db
PAGE = "/models/schedule/"


def test_operator_sets_the_rhythm_and_it_is_audited(as_oskar: Client) -> None:
    assert "Every hour" in as_oskar.get(PAGE).content.decode()
    answer = as_oskar.post(PAGE, {"every_s": "21600", "auto_add": "on"})
    assert answer.status_code == 302
    assert list_rounds.schedule() == {"every_s": 21_600, "auto_add": True}
    assert as_oskar.post(PAGE, {"every_s": "0"}).status_code == 302
    assert list_rounds.schedule() == {"every_s": 0, "auto_add": False}
    assert AuditEvent.objects.filter(action="model.schedule").count() == 2
    assert PAGE in as_oskar.get("/models/").content.decode()


@pytest.mark.parametrize("every_s", ["", "-1", "599", "many"])
def test_rhythms_nobody_offered_are_refused(as_oskar: Client, every_s: str) -> None:
    assert as_oskar.post(PAGE, {"every_s": every_s}).status_code == 422
    assert list_rounds.schedule()["every_s"] == 3_600


def test_rhythm_set_elsewhere_stays_a_choice(as_oskar: Client) -> None:
    as_oskar.post(PAGE, {"every_s": "0"})
    list_rounds.set_schedule(SYSTEM, every_s=7_200)
    assert "Every 7,200 seconds" in as_oskar.get(PAGE).content.decode()
    assert as_oskar.post(PAGE, {"every_s": "7200"}).status_code == 302


def test_viewers_do_not_set_it(as_viktor: Client) -> None:
    assert as_viktor.post(PAGE, {"every_s": "0"}).status_code == 403
