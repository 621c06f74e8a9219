"""The command line: ``pool …`` and ``python manage.py …`` are the same.

Whatever goes wrong is one line on stderr and an exit status; a traceback is for those
who ask with ``--traceback``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
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
    from django.conf import settings
    from django.core.management import ManagementUtility, get_commands
    from django.core.management.base import BaseCommand, OutputWrapper

    # Bad settings are said as such; Django would only miss our commands.
    settings.INSTALLED_APPS  # noqa: B018 - reading it loads the settings

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

        def main_help_text(self, commands_only: bool = False) -> str:
            return _help(commands_only=commands_only)

        def fetch_command(self, subcommand: str) -> BaseCommand:
            # setup-token on the command line is a module named setup_token
            name = subcommand.replace("-", "_")
            if name not in get_commands():
                near = get_close_matches(subcommand, [*_documented(), "serve"])
                hint = f" Did you mean {near[0]}?" if near else ""
                sys.exit(fail(f"there is no command {subcommand}.{hint}", 2))
            command = super().fetch_command(name)
            command.stderr = Errors(sys.stderr)
            return command

    Utility(["pool", *arguments]).execute()
    return 0


def _documented() -> dict[str, str]:
    """Return the product's commands and what they do; not the internal ones."""
    from django.core.management import get_commands, load_command_class

    found = {}
    for name, app in get_commands().items():
        if app == "providers":
            text = load_command_class(app, name).help
            if not text.startswith("Internal"):
                found[name.replace("_", "-")] = text
    return dict(sorted(found.items()))


def _help(*, commands_only: bool) -> str:
    found = {"serve": "Start the pool: proxy, console, keeper and worker."}
    found |= _documented()
    if commands_only:
        return "\n".join(found)
    width = max(map(len, found))
    lines = [f"  {name:<{width}}  {text}" for name, text in found.items()]
    return "\n".join(["pool COMMAND ...   (pool COMMAND --help says more)", "", *lines])


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
