"""The command line: ``pool …`` and ``python manage.py …`` are the same.

Whatever goes wrong is one line on stderr and an exit status; a traceback is for those
who ask with ``--traceback``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Errors: none; 1 is a refusal or failure, 2 a wrong call, 130 an interruption.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["serve"]:
            # The supervisor stays small: it never imports Django's machinery.
            from poolsite.supervisor.serve import serve

            return serve(arguments[1:])
        return _django(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        if "--traceback" in arguments:
            raise
        return fail(_sentence(error))


def fail(message: str, status: int = 1) -> int:
    """Say one line on stderr and return the status."""
    sys.stderr.write(f"pool: {' '.join(message.split())}\n")
    return status


def _django(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings")
    from django.core.management import ManagementUtility
    from django.core.management.base import BaseCommand, OutputWrapper

    class Errors(OutputWrapper):
        """Write a refusal without the name of its Python class."""

        def write(  # type: ignore[override] # Django's own differs already
            self,
            msg: str = "",
            style_func: Any = None,
            ending: str | None = None,
        ) -> None:
            super().write(msg.replace("CommandError: ", "pool: "), style_func, ending)

    class Utility(ManagementUtility):
        """Run commands whose refusals are plain sentences."""

        def fetch_command(self, subcommand: str) -> BaseCommand:
            # setup-token on the command line is a module named setup_token
            command = super().fetch_command(subcommand.replace("-", "_"))
            command.stderr = Errors(sys.stderr)
            return command

    Utility(["pool", *arguments]).execute()
    return 0


def _sentence(error: Exception) -> str:
    """Turn an exception into what a person can act on."""
    name = type(error).__name__
    if name == "OperationalError":
        return f"the database does not answer: {error}"
    if name in ("MissingRootError", "ImproperlyConfigured"):
        return str(error)
    return f"{name}: {error}" if str(error) else name


if __name__ == "__main__":
    sys.exit(main())
