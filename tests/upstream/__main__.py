"""Run the fault upstream as a process until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

import uvloop

from tests.upstream.server import FaultUpstream


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with FaultUpstream(
        host=arguments.host,
        port=arguments.port,
        log=arguments.log,
        seed=arguments.seed,
        models=arguments.model,
    ) as upstream:
        print(f"fault upstream on {upstream.base_url}", flush=True)
        await stop.wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.upstream")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--log", type=Path, help="append the true usage here")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", action="append", help="listed model, repeatable")
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments))


if __name__ == "__main__":
    main()
