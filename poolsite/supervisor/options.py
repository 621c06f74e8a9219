"""Read the options of ``pool serve`` over the environment's."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Sequence

import msgspec

from poolsite import env
from poolsite.config import Config


class Options(msgspec.Struct, frozen=True):
    """What to serve.

    Shapes:  ``warnings`` are sentences to print with the start-up block.
    """

    config: Config
    worker: bool
    warnings: tuple[str, ...] = ()

    @property
    def has_proxy(self) -> bool:
        """Tell whether this node answers LLM clients."""
        return self.config.plane in ("all", "proxy")

    @property
    def has_console(self) -> bool:
        """Tell whether this node answers browsers."""
        return self.config.plane in ("all", "console")


class OptionsError(Exception):
    """The options contradict each other; the message says how."""


def read(argv: Sequence[str]) -> Options:
    """Parse the options; what is not given comes from the environment.

    Errors: SystemExit for a wrong call, OptionsError for a contradiction,
            ImproperlyConfigured for a bad variable.
    """
    config = env.load()
    parser = argparse.ArgumentParser(prog="pool serve", description="Serve the pool.")
    parser.add_argument("--host", default=config.host)
    parser.add_argument("--port", type=int, default=config.port)
    parser.add_argument("--workers", type=int, default=config.workers)
    parser.add_argument("--plane", choices=("all", "proxy", "console"), default="all")
    parser.add_argument("--no-worker", action="store_true")
    given = parser.parse_args(argv)
    config = msgspec.structs.replace(
        config,
        host=given.host,
        port=given.port,
        workers=given.workers,
        plane=given.plane,
    )
    _check(config)
    is_worker_wanted = not given.no_worker and given.plane != "proxy"
    return Options(config, is_worker_wanted, _warnings(config))


def _check(config: Config) -> None:
    if not 0 < config.port < 65536:
        raise OptionsError("--port must be between 1 and 65535.")
    if config.workers < 1:
        raise OptionsError("--workers must be 1 or more.")
    if config.workers > 1 and not config.redis_url and config.limits != "approximate":
        raise OptionsError(
            f"--workers {config.workers} needs REDIS_URL, because limits and budgets "
            "are exact only when the workers share them; POOL_LIMITS=approximate "
            "accepts each worker counting for itself."
        )


def _warnings(config: Config) -> tuple[str, ...]:
    if is_loopback(config.host) or config.public_url.startswith("https://"):
        return ()
    return (
        f"{config.host} is not a loopback address and the public URL is not https: "
        "keys and passwords travel unencrypted. Put a TLS proxy in front and set "
        "POOL_PUBLIC_URL.",
    )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
