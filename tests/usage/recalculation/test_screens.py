"""Recalculation in the console, the admin API and on the command line."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.test import Client

from poolsite import tokens
from poolsite.actor import SYSTEM
from poolsite.models import User
from tests.factories import call, make_client_key, make_provider, ship, try_at
from tests.usage.recalculation import traffic
from usage import log
from usage.journal.records import PriceRef
from usage.models import CostAdjustment, RecalculationRun, Request
from usage.recalculation import services

pytestmark = pytest.mark.django_db
URL = "/pricing/recalculate/"


@pytest.fixture
def run(db: None) -> RecalculationRun:
    """A run over two days that was counted and not applied."""
    traffic.make_traffic(12)
    traffic.set_prices()
    return traffic.start()


def test_form_counts_and_the_typed_word_applies(
    as_oskar: Client, run: RecalculationRun
) -> None:
    sent = {"since": "2026-01-31", "until": "2026-02-01", "providers": ["acme"]}
    answer = as_oskar.post(f"{URL}new/", sent)
    made = RecalculationRun.objects.latest("pk")
    assert (answer.status_code, answer["Location"]) == (302, f"{URL}{made.pk}/")
    assert made.providers == ["acme"]
    made = traffic.done(made)

    apply_url = f"{URL}{made.pk}/apply/"
    assert b"Type <strong>recalculate</strong>" in as_oskar.get(apply_url).content
    assert as_oskar.post(apply_url, {"confirm_name": "yes"}).status_code == 422
    assert RecalculationRun.objects.get(pk=made.pk).state == "ready"
    as_oskar.post(apply_url, {"confirm_name": "recalculate"})
    made = traffic.done(made)
    assert made.state == "applied"

    as_oskar.post(f"{URL}{made.pk}/undo/")
    assert traffic.done(made).state == "undone"


def test_page_shows_figures_and_refreshes_only_while_it_works(
    as_viktor: Client, run: RecalculationRun, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(12):
        page = as_viktor.get(f"{URL}{run.pk}/").content.decode()
    assert "By client key" in page
    assert "acme:large" in page
    assert "Some stay without a price" in page
    assert "every 2s" not in page
    assert f"{run.pk}/apply/" not in page  # a viewer may only look

    services.apply(SYSTEM, run)
    assert "every 2s" in as_viktor.get(f"{URL}{run.pk}/").content.decode()
    with django_assert_max_num_queries(12):
        listed = as_viktor.get(URL).content.decode()
    assert "being applied" in listed


def test_every_screen_has_the_tabs_of_pricing(
    as_oskar: Client, run: RecalculationRun
) -> None:
    for path in ("", "new/", f"{run.pk}/"):
        page = as_oskar.get(f"{URL}{path}").content.decode()
        tabs = page.partition('aria-label="Pricing"')[2].partition("</nav>")[0]
        assert "Effective" in tabs
        assert f'<a href="{URL}" aria-current="page">Recalculate</a>' in tabs


def test_page_says_how_many_corrections_an_undo_left(
    as_viktor: Client, run: RecalculationRun
) -> None:
    traffic.apply(run)
    gone = CostAdjustment.objects.earliest("pk").request_id
    Request.objects.filter(id=gone).delete()
    run = traffic.undo(run)
    page = as_viktor.get(f"{URL}{run.pk}/").content.decode()
    assert "Some corrections stay" in page
    assert f"{run.applied - run.undone} corrections could not be taken back" in page


def test_viewer_may_not_start_apply_undo_or_stop(
    as_viktor: Client, run: RecalculationRun
) -> None:
    for path in ("new/", *(f"{run.pk}/{s}/" for s in ("apply", "undo", "cancel"))):
        assert as_viktor.post(f"{URL}{path}").status_code == 403
    assert not CostAdjustment.objects.exists()


def test_form_says_what_is_wrong(as_oskar: Client) -> None:
    answer = as_oskar.post(f"{URL}new/", {"since": "2026-02-01", "until": "2026-01-01"})
    assert answer.status_code == 422
    assert "ends before it begins" in answer.content.decode()


@pytest.mark.parametrize("since", ["0001-01-01", "2026-01-01", "9999-12-31"])
def test_days_no_calendar_has_are_refused(since: str, as_oskar: Client) -> None:
    days = {"since": since, "until": "9999-12-31"}
    answer = as_oskar.post("/pricing/recalculate/new/", days)
    assert answer.status_code == 422
    assert "until" in answer.context["form"].errors


def test_hostile_names_are_escaped(as_oskar: Client) -> None:
    name = "<script>x</script>"
    provider = make_provider("acme", models=[name], keys=["sk-1"])
    tried = try_at(provider, name, price=PriceRef())
    ship(call(None, tried, at=traffic.START))
    run = traffic.start(replace(traffic.ALL, model_glob="<script>*"))
    page = as_oskar.get(f"{URL}{run.pk}/").content.decode()
    assert name not in page
    assert "&lt;script&gt;" in page


def test_request_shows_its_corrected_cost_and_the_run(as_viktor: Client) -> None:
    provider = make_provider("acme", models=["large"], keys=["sk-1"])
    key, _ = make_client_key()
    tried = try_at(provider, "large", price=PriceRef())
    [request_id] = ship(call(key, tried, at=traffic.START))
    traffic.set_prices()
    run = traffic.apply(traffic.start(replace(traffic.ALL, reason="It had no price")))
    adjusted = CostAdjustment.objects.get()

    found = log.detail(UUID(request_id))

    assert found is not None
    assert found.request.cost_nano_usd == adjusted.delta_nano_usd
    assert found.attempts[0].cost_nano_usd == adjusted.delta_nano_usd
    assert found.attempts[0].row.cost_nano_usd is None
    page = as_viktor.get(f"/requests/{request_id}/").content.decode()
    assert f"recalculation {run.pk}" in page
    assert "It had no price" in page
    listed = log.in_words(log.latest())
    assert [row.cost_nano_usd for row in listed] == [adjusted.delta_nano_usd]
    assert not listed[0].is_unpriced
    assert "for a model that was used" not in page_of(as_viktor, request_id)

    traffic.undo(run)
    assert log.in_words(log.latest())[0].cost_nano_usd is None
    assert log.in_words(log.latest())[0].is_unpriced
    assert "for a model that was used" in page_of(as_viktor, request_id)
    page = as_viktor.get(f"/requests/{request_id}/").content.decode()
    assert "Taken back" in page


def page_of(client: Client, request_id: str) -> str:
    return client.get(f"/requests/{request_id}/").content.decode()


def test_api_counts_applies_and_undoes(olivia: User, run: RecalculationRun) -> None:
    _, text = tokens.create_token(SYSTEM, user=olivia, name="t", scopes=["admin"])
    client = Client(headers={"Authorization": f"Bearer {text}"})
    api = "/api/admin/v1/recalculations"

    def post(path: str, **data: Any) -> Any:
        return client.post(f"{api}{path}", data, content_type="application/json")

    sent = {"since": "2026-01-30T00:00:00Z", "until": "2026-02-02T00:00:00Z"}
    made = post("", **sent, only_unpriced=True)
    assert made.status_code == 201, made.content
    number = made.json()["id"]
    traffic.done(RecalculationRun.objects.get(pk=number))
    assert client.get(f"{api}/{number}").json()["can"] == ["apply"]
    assert post(f"/{number}/apply").json()["state"] == "applying"
    assert post(f"/{number}/apply").status_code == 422
    traffic.done(RecalculationRun.objects.get(pk=number))
    assert post(f"/{number}/undo").json()["state"] == "undoing"
    assert client.get(api).json()[0]["id"] == number
    assert post(f"/{number}/cancel").status_code == 200
    assert post("", **sent, colour="red").status_code == 422


def test_command_counts_applies_and_undoes_without_a_worker(
    run: RecalculationRun,
) -> None:
    def pool(*arguments: str) -> str:
        out = io.StringIO()
        call_command("recalculate", *arguments, stdout=out)
        return out.getvalue()

    told = json.loads(
        pool("count", "--since", "2026-01-30", "--until", "2026-02-01", "--json")
    )
    assert told["found"]["changed"] == run.figures["changed"]
    number = str(told["id"])
    assert "is applied" in pool("apply", number)
    assert "is undone" in pool("undo", number)
    assert number in pool("list")
