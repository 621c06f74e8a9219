"""What every test stands on: no network, one person of each role, no leftovers."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from poolsite.models import User
from tests import factories

# Children of a test read the product's own settings, not those of this process.
os.environ["DJANGO_SETTINGS_MODULE"] = "poolsite.settings"
_OFFLINE = "No network beyond loopback in tests"
_LOCAL_NAMES = {"localhost", "", None}
_lookup = socket.getaddrinfo


def _address(host: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address a spelling means, as the C library reads it; None for names."""
    try:
        found = _lookup(str(host), 0, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    address = ipaddress.ip_address(str(found[0][4][0]).partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _is_local(host: object) -> bool:
    if host in _LOCAL_NAMES or str(host).endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


_NEEDS_A_SERVER = {"postgres", "redis", "django_db"}
_DATABASE_FIXTURES = {"db", "transactional_db", "live_server"}


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Run only what touches a server once more where servers are the point."""
    if os.environ.get("POOL_TEST_STAGE") != "servers":
        return
    chosen = [item for item in items if _touches_a_server(item)]
    config.hook.pytest_deselected(items=[i for i in items if i not in set(chosen)])
    items[:] = chosen


def _touches_a_server(item: pytest.Item) -> bool:
    if any(mark.name in _NEEDS_A_SERVER for mark in item.iter_markers()):
        return True
    return not _DATABASE_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """Let sockets reach this machine only, and names resolve to it only.

    Fails: as a machine without a network does, so that a test of that case still works.
    """
    patch = pytest.MonkeyPatch()
    real_connect, real_connect_ex = socket.socket.connect, socket.socket.connect_ex

    def check(sock: socket.socket, address: Any) -> None:
        families = (socket.AF_INET, socket.AF_INET6)
        if sock.family in families and not _is_local(address[0]):
            raise OSError(101, f"{_OFFLINE}: {address[0]}")

    def connect(sock: socket.socket, address: Any) -> None:
        check(sock, address)
        real_connect(sock, address)

    def connect_ex(sock: socket.socket, address: Any) -> int:
        check(sock, address)
        return real_connect_ex(sock, address)

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not _is_local(name) and _address(name) is None:
            raise socket.gaierror(socket.EAI_NONAME, f"{_OFFLINE}: {name}")
        return _lookup(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", connect)
    patch.setattr(socket.socket, "connect_ex", connect_ex)
    patch.setattr(socket, "getaddrinfo", lookup)
    yield
    patch.undo()


# The cast


@pytest.fixture
def olivia(db: None) -> User:
    """Olivia, an owner."""
    return factories.make_user("olivia@example.com", "owner")


@pytest.fixture
def oskar(db: None) -> User:
    """Oskar, an operator."""
    return factories.make_user("oskar@example.com", "operator")


@pytest.fixture
def viktor(db: None) -> User:
    """Viktor, a viewer."""
    return factories.make_user("viktor@example.com", "viewer")


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    """Return a test client signed in as somebody."""

    def client_of(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return client_of


@pytest.fixture
def as_olivia(olivia: User, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(olivia)


@pytest.fixture
def as_oskar(olivia: User, oskar: User, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(oskar)


@pytest.fixture
def as_viktor(
    olivia: User, viktor: User, signed_in: Callable[[User], Client]
) -> Client:
    return signed_in(viktor)


@pytest.fixture(autouse=True)
def forget_what_is_kept() -> None:
    """Drop what this process keeps of the database: rows of tests share ids."""
    for name in ("providers.snapshot.stated", "providers.services.routing_lab"):
        module = sys.modules.get(name)
        if module is not None:
            module.forget()
