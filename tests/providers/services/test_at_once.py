"""Prove that of two changes at the same moment exactly one wins, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, close_old_connections, connection

from poolsite import audit, people, setup, tokens
from poolsite.actor import CLI
from poolsite.models import AuditEvent, User
from pricing import services as prices
from pricing.cost import PriceSpec
from pricing.models import CustomPrice
from providers import selectors_routing as routing_selectors
from providers.models import Alias, ApiKey, Provider, ProviderModel
from providers.services import (
    credentials,
    models,
    providers,
    routing,
    routing_rules,
)
from providers.services.errors import ServiceError
from providers.snapshot.types import RuleRecord
from tests import factories
from usage import services as keys
from usage.budgets import services as budgets
from usage.models import Budget, ClientKey

pytestmark = pytest.mark.django_db(transaction=True)
REFUSED = "refused"
_REFUSALS = (
    ServiceError, people.PeopleError, keys.UsageError, tokens.TokenError,
    setup.SetupError, prices.PriceError,
)  # fmt: skip


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run each in a thread of its own, all starting together.

    Returns each one's result, or REFUSED; any other error fails the test.
    """
    barrier = threading.Barrier(len(works))
    found: list[Any] = [None] * len(works)
    errors: list[BaseException] = []

    def run(place: int, work: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(20)
            found[place] = work()
        except _REFUSALS:
            found[place] = REFUSED
        except BaseException as exc:  # noqa: BLE001 - handed to the test
            errors.append(exc)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    close_old_connections()
    assert errors == []
    assert audit.verify_chain() is None
    return found


def count(found: list[Any], value: Any) -> int:
    return sum(each == value for each in found)


def create(slug: str) -> Callable[[], Any]:
    return lambda: providers.create_provider(
        CLI, slug=slug, base_url="https://a.example.com"
    )


def test_one_provider_gets_the_name() -> None:
    found = at_once(*[create("acme")] * 4)
    assert count(found, REFUSED) == 3
    assert Provider.objects.count() == 1
    assert AuditEvent.objects.filter(action="provider.create").count() == 1


def test_one_client_key_gets_the_name() -> None:
    found = at_once(*[lambda: keys.create_key(CLI, "ci")] * 4)
    assert count(found, REFUSED) == 3
    assert ClientKey.objects.count() == 1


def demote(user: User) -> None:
    people.change_role(CLI, user=user, role="viewer")


def keep_out(user: User) -> None:
    people.set_active(CLI, user=user, active=False)


@pytest.mark.parametrize("change", [demote, keep_out])
def test_one_of_two_owners_stays_whatever_both_do(
    change: Callable[[User], None],
) -> None:
    first = factories.make_user("a@b.co", "owner")
    second = factories.make_user("b@b.co", "owner")
    found = at_once(lambda: change(first), lambda: change(second))
    assert count(found, REFUSED) == 1
    assert User.objects.filter(groups__name="owner", is_active=True).count() == 1


def test_setup_token_is_spent_once() -> None:
    token = setup.new_token()
    found = at_once(*[lambda: setup.use_token(token)] * 6)
    assert count(found, True) == 1


def test_same_vendor_key_is_stored_once() -> None:
    acme = factories.make_provider("acme")
    found = at_once(*[lambda: credentials.add_key(CLI, acme, "sk-one-0123456789")] * 4)
    assert count(found, REFUSED) == 3
    assert ApiKey.objects.count() == 1


def test_same_models_are_added_once_by_all() -> None:
    acme = factories.make_provider("acme")
    names = [f"m{number}" for number in range(20)]
    found = at_once(*[lambda: models.add_models(CLI, acme, names)] * 4)
    assert sorted(len(made) for made in found) == [0, 0, 0, 20]
    assert ProviderModel.objects.count() == 20


def test_alias_price_and_budget_set_at_once_are_one_row() -> None:
    factories.make_provider("acme", models=["m"])
    key, _ = factories.make_client_key("ci")
    spec, terms = PriceSpec(input=1, output=1), keys.BudgetTerms(1)
    at_once(*[lambda: models.set_alias(CLI, "a", ["m"])] * 3)
    at_once(*[lambda: prices.set_price(CLI, "m", spec)] * 3)
    at_once(*[lambda: keys.set_key_budget(CLI, key, terms)] * 3)
    at_once(*[lambda: budgets.add_budget(CLI, budgets.Whose("pool"), terms)] * 3)
    assert Alias.objects.filter(deleted_at=None).count() == 1
    assert CustomPrice.objects.filter(deleted_at=None).count() == 1
    assert Budget.objects.count() == 2


def test_revoked_key_stays_revoked_whatever_comes_with_it() -> None:
    for _ in range(5):
        ClientKey.objects.all().delete()
        key, _text = factories.make_client_key("ci")
        copies = [ClientKey.objects.get(pk=key.pk) for _ in range(3)]
        at_once(
            lambda k=copies[0]: keys.revoke_key(CLI, k),
            lambda k=copies[1]: keys.update_key(CLI, k, rpm=5),
            lambda k=copies[2]: keys.rotate_key(CLI, k, grace="1h"),
        )
        assert ClientKey.objects.get().revoked_at is not None


def test_removed_provider_stays_removed_and_has_no_key_left() -> None:
    for _ in range(5):
        Provider.objects.all().delete()
        acme = factories.make_provider("acme", keys=["sk-acme-0123456789"])
        copies = [Provider.objects.get(pk=acme.pk) for _ in range(4)]
        at_once(
            lambda p=copies[0]: providers.remove_provider(CLI, p),
            lambda p=copies[1]: providers.update_provider(CLI, p, priority=9),
            lambda p=copies[2]: providers.set_enabled(CLI, p, enabled=True),
            lambda p=copies[3]: credentials.add_key(CLI, p, "sk-late-0123456789"),
        )
        row = Provider.objects.get()
        assert row.deleted_at is not None
        assert not row.enabled
        assert not row.api_keys.exclude(secret="").exists()


def test_changes_in_opposite_orders_do_not_wait_in_a_circle() -> None:
    pair = [factories.make_provider("a"), factories.make_provider("b")]

    def both(order: list[Provider]) -> Callable[[], None]:
        def work() -> None:
            for _ in range(5):
                with_all(order)

        return work

    def with_all(order: list[Provider]) -> None:
        from django.db import transaction

        with transaction.atomic():
            for row in order:
                fresh = Provider.objects.get(pk=row.pk)
                providers.update_provider(CLI, fresh, priority=fresh.priority)

    try:
        at_once(both(pair), both(pair[::-1]), both(pair))
    except OperationalError as exc:  # pragma: no cover - the failure this is about
        pytest.fail(str(exc))


def choose(word: str, tag: str) -> Callable[[], Any]:
    return lambda: routing.change_settings(CLI, {"strategy": word}, tag=tag)


def test_of_changes_to_one_state_of_the_routing_one_wins() -> None:
    tag = routing_selectors.standing().tag
    found = at_once(*[choose(word, tag) for word in ("cost", "latency", "weighted")])
    assert count(found, REFUSED) == 2
    seen = routing_selectors.standing().tag
    found = at_once(*[lambda: routing.publish(CLI, tag=seen)] * 3)
    assert count(found, REFUSED) == 2
    assert [row.number for row in routing_selectors.history()] == [1]


def test_rules_added_at_once_all_stay() -> None:
    rule = RuleRecord(trigger="error", action="switch_provider", provider="acme")
    at_once(*[lambda: routing_rules.add_rule(CLI, rule)] * 4)
    assert len(routing_selectors.standing().edited.rules) == 4
