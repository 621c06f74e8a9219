"""Run commands as the shell does, in this process and its test database."""

from __future__ import annotations

import io
import json
from typing import Any, NamedTuple

import pytest
from django.core.management import load_command_class
from django.core.management.base import CommandError, OutputWrapper

from providers.models import Provider
from tests import factories


class Ran(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as data."""
        return json.loads(self.out)


class Pool:
    """``pool("key", "list", stdin="…")``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, name: str, *arguments: str, stdin: str | None = None) -> Ran:
        command = load_command_class("providers", name.replace("-", "_"))
        command._called_from_command_line = True  # type: ignore[attr-defined]
        out, err = io.StringIO(), io.StringIO()
        command.stdout = OutputWrapper(out)
        source = _Terminal() if stdin is None else io.StringIO(stdin)
        self._monkeypatch.setattr("sys.stdin", source)
        self._monkeypatch.setattr("sys.stderr", err)
        status = 0
        try:
            parser = command.create_parser("pool", name)
            command.execute(**vars(parser.parse_args(list(arguments))))
        except SystemExit as stop:
            status = int(stop.code or 0)
        except CommandError as exc:
            status = exc.returncode
            err.write(f"pool: {exc}\n")
        return Ran(status, out.getvalue(), err.getvalue())

    def ok(self, name: str, *arguments: str, stdin: str | None = None) -> Ran:
        """Run a command that has to succeed and stay silent on stderr."""
        ran = self(name, *arguments, stdin=stdin)
        assert (ran.status, ran.err) == (0, "")
        return ran

    def refused(self, name: str, *arguments: str, stdin: str | None = None) -> str:
        """Run a command that has to fail with one line; return the line."""
        ran = self(name, *arguments, stdin=stdin)
        assert ran.status in (1, 2)
        assert ran.err.startswith("pool: ")
        assert ran.err.count("\n") == 1
        assert "Traceback" not in ran.err
        return ran.err


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Pool:
    return Pool(monkeypatch)


@pytest.fixture
def acme(pool: Pool) -> Provider:
    return factories.make_provider(
        "acme", models=["gpt-5-mini", "a/b"], keys=["sk-acme-0000000001"]
    )
