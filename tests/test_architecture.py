"""Prove what the house promises of itself: layers, sizes, doors, twins."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(__file__).parents[1]
PACKAGES = ("poolsite", "pricing", "usage", "oauth", "providers")
FLOORS = {"poolsite": 0, "pricing": 1, "usage": 2, "oauth": 2, "providers": 3}
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_TEMPLATE = 400, 50, 150
SLACK, SLACK_LINES = 25, 10
"""A reasoned exception beats a contortion; more than this is no exception."""
LONG_FUNCTIONS = {
    "_disjoint": "one step for each counter of a bill, in the order of the bill",
}


def modules() -> list[Path]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts:
                found.append(path)
    return found


FILES = [path for path in modules() if path.name != "__init__.py"]
NAMES = [str(path.relative_to(ROOT)) for path in FILES]


# Layers


def test_import_contracts_hold() -> None:
    ran = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_no_foreign_key_points_up() -> None:
    wrong = []
    for model in apps.get_models():
        floor = FLOORS.get(model._meta.app_label)
        for field in model._meta.get_fields() if floor is not None else ():
            target = getattr(field, "related_model", None)
            if target is None or field.auto_created:
                continue
            label = target._meta.app_label
            above = FLOORS.get(label, 0)  # Django's own apps are ground as well
            is_beside = above == floor and label not in (model._meta.app_label, "auth")
            if above > (floor or 0) or is_beside:
                wrong.append(f"{model.__name__}.{field.name} -> {target.__name__}")
    assert wrong == []


def test_only_our_packages_stand_at_the_top() -> None:
    tops = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert tops <= {*PACKAGES, "bench", "scripts", "tests"}


def test_package_files_stay_empty() -> None:
    filled = [
        str(path.relative_to(ROOT))
        for path in modules()
        if path.name == "__init__.py" and path.stat().st_size
    ]
    # Django wants the models of an app in one place.
    assert filled == ["providers/models/__init__.py"]


# Sizes and docstrings


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= LONGEST_FILE + SLACK
    assert ast.get_docstring(tree), "no docstring"
    assert "from __future__ import annotations" in text
    long = [
        f"{node.name}: {size} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := _lines(node)) > LONGEST_FUNCTION + SLACK_LINES
        and node.name not in LONG_FUNCTIONS
    ]
    assert long == []


def _lines(node: Any) -> int:
    return int(node.end_lineno) - int(node.lineno) + 1


def test_exceptions_from_the_sizes_are_few() -> None:
    files, functions = [], []
    for name, path in zip(NAMES, FILES, strict=True):
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > LONGEST_FILE:
            files.append(name)
        for node in ast.walk(ast.parse(text)):
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and _lines(node) > LONGEST_FUNCTION:
                functions.append(f"{name}:{node.name}")
    assert len(files) <= 6, files
    assert len(functions) <= 6, functions


def test_templates_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "templates").rglob("*.html")
        if (lines := len(path.read_text(encoding="utf-8").splitlines()))
        > LONGEST_TEMPLATE
    }
    assert long == {}


def test_nothing_is_left_to_do_in_the_code() -> None:
    marks = [
        name
        for name, path in zip(NAMES, FILES, strict=True)
        if any(
            word in path.read_text(encoding="utf-8")
            for word in ("TODO", "FIXME", "XXX")
        )
    ]
    assert marks == []


# Doors


def views() -> Iterator[tuple[str, Any]]:
    def walk(patterns: list[Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for each in patterns:
            path = prefix + str(each.pattern)
            if isinstance(each, URLResolver):
                yield from walk(each.url_patterns, path)
            elif isinstance(each, URLPattern):
                yield path, each.callback

    yield from walk(get_resolver().url_patterns, "/")


API = "/api/admin/v1/"
OPEN = {
    "/setup/": "the one-time token is its guard",
    "/preferences/": "the theme, before signing in; a form with CSRF",
    "/jobs/<int:pk>/events/": "tells strangers that their stream is over, no more",
    "/accounts/login/": "where one signs in",
    "/accounts/login/code/confirm/": "allauth's page; login by code is off",
    "/accounts/logout/": "where one signs out",
    "/accounts/inactive/": "says that one is kept out",
    "/accounts/signup/": "allauth's page; the adapter keeps it closed",
    "/accounts/confirm-email/": "says that a mail was sent",
    "/accounts/^confirm-email/(?P<key>[-:\\w]+)/$": "the link in that mail",
    "/accounts/password/reset/": "asks for a mail, tells nobody who exists",
    "/accounts/password/reset/done/": "says that a mail was sent",
    "/accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": "its link",
    "/accounts/password/reset/key/done/": "says that the password is new",
}
"""Views without a login, and why; the admin API has its token."""


def test_views_without_login_are_these() -> None:
    opened = {
        path
        for path, view in views()
        if not getattr(view, "login_required", True) and not path.startswith(API)
    }
    assert opened == set(OPEN)


def test_everything_else_needs_a_login() -> None:
    middleware = settings.MIDDLEWARE
    assert "django.contrib.auth.middleware.LoginRequiredMiddleware" in middleware
    session = "django.contrib.sessions.middleware.SessionMiddleware"
    csrf = "django.middleware.csrf.CsrfViewMiddleware"
    assert middleware.index(session) < middleware.index(csrf)


@pytest.mark.django_db
def test_stranger_is_led_to_the_login_from_every_page(client: Any, olivia: Any) -> None:
    opened = []
    for path, view in views():
        if path.startswith(API) or not getattr(view, "login_required", True):
            continue
        plain = path
        for kind in ("<int:pk>", "<int:key_id>", "<int:number>"):
            plain = plain.replace(kind, "1")
        if "<" in plain or "(" in plain:
            continue
        answer = client.get(plain)
        if answer.status_code != 302 or "/accounts/login/" not in answer["location"]:
            opened.append((plain, answer.status_code))
    assert opened == []


# Twins: what changes something has a command or a call of the admin API

SERVICES = (
    "poolsite.people", "poolsite.tokens", "poolsite.setup", "pricing.services",
    "usage.services", "usage.budgets.services", "oauth.services", "providers.services.providers",
    "providers.services.credentials", "providers.services.models",
    "providers.services.onboard", "providers.services.routing",
    "providers.services.routing_rules", "providers.services.probing.runs",
    "poolsite.job_control", "poolsite.delivery.services", "providers.imports.pool", "pricing.feeds.services",
)  # fmt: skip
PARTS = {
    "oauth.services.remove_accounts_of": "part of removing a provider",
    "providers.services.onboard.save_new": "several changes that have twins each",
    "providers.services.providers.record_test": "part of trying a provider",
    "poolsite.delivery.services._queue_test": "part of sending a test",
    "providers.imports.pool._put_all": "called import_bytes from outside",
}


def changes(module: ModuleType) -> list[str]:
    """Names of the functions that run as one change."""
    return [
        name
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and hasattr(function, "__wrapped__")
    ]


def called(*folders: str) -> set[str]:
    """Names called in the files of some folders."""
    found = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    function = node.func
                    found.add(getattr(function, "attr", getattr(function, "id", "")))
    return found


def test_every_change_has_a_command_or_a_call_of_the_api() -> None:
    twins = called("providers/api", "providers/management/commands")
    alone = [
        f"{name}.{change}"
        for name in SERVICES
        for change in changes(importlib.import_module(name))
        if change not in twins and f"{name}.{change}" not in PARTS
    ]
    assert alone == []


def test_every_change_is_audited() -> None:
    silent = []
    for name in SERVICES:
        module = importlib.import_module(name)
        for change in changes(module):
            source = inspect.getsource(module)
            body = inspect.getsource(inspect.unwrap(getattr(module, change)))
            helpers = (
                "put_terms(", "_remove(", "add_key(", "create_provider(", "edit(",
                "_put_in_force(", "_set_default(",
            )  # fmt: skip
            is_audited = "audit.record(" in body or any(h in body for h in helpers)
            assert "audit" in source or name.endswith("onboard")
            if not is_audited and f"{name}.{change}" not in PARTS:
                silent.append(f"{name}.{change}")
    assert silent == []


def test_console_changes_only_what_the_api_can_change_too() -> None:
    console = called("providers/views", "usage", "poolsite")
    twins = called("providers/api", "providers/management/commands")
    names = {
        change
        for name in SERVICES
        for change in changes(importlib.import_module(name))
        if f"{name}.{change}" not in PARTS
    }
    assert (names & console) - twins == set()
