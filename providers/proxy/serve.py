"""Run the data workers: ``python -m providers.proxy.serve --role data``.

Configuration and roots come through pipes the parent left open. One process, the main,
holds the listening socket and forks the workers; a worker that dies is replaced in a
moment, and connections made meanwhile wait in the socket's queue instead of failing.

SIGTERM drains: workers finish what runs, then end. A second one makes that fast.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from typing import Final

import msgspec

from poolsite import roots
from poolsite.config import Config, Roots
from providers.proxy.logs import configure_logs
from providers.proxy.server import DataServer
from providers.proxy.worker import WorkerSettings, make_worker

CONFIG_VARIABLE: Final = "POOL_CONFIG_FD"
LISTENER_VARIABLE: Final = "POOL_LISTEN_FD"
_BACKLOG: Final = 2048


def main() -> int:
    """Serve until told to stop; return the exit status.

    Errors:  none; 2 for a wrong start, 1 for what cannot work, said in one line.
    """
    configure_logs()
    fd = os.environ.pop(CONFIG_VARIABLE, "")
    if not fd.isdigit():
        return _fail(f"{CONFIG_VARIABLE} is not set; start this with 'pool serve'.", 2)
    with os.fdopen(int(fd), "rb") as stream:
        config = msgspec.json.decode(stream.read(), type=Config)
    try:
        secrets = roots.load(config.data_path, may_create=False)
        listener = _listener(config)
    except roots.MissingRootError as error:
        return _fail(str(error), 1)
    except OSError as error:
        where = f"{config.host}:{config.port}"
        return _fail(f"{where} cannot be used: {error.strerror or error}.", 1)
    return _serve(config, secrets, listener)


def _serve(config: Config, secrets: Roots, listener: socket.socket) -> int:
    drained, tell_drained = os.pipe()
    settings = WorkerSettings(config, secrets, os.getpid(), tell_drained)
    server = DataServer(listener, workers=config.workers, drained=drained)
    # What is loaded so far is shared by every worker forked from here.
    gc.collect()
    gc.freeze()
    return server.run(lambda: make_worker(settings), config)


def _listener(config: Config) -> socket.socket:
    """Return the listening socket: inherited, or made here.

    Not with SO_REUSEPORT: two products on one port must be an error, not a lottery.
    """
    inherited = os.environ.pop(LISTENER_VARIABLE, "")
    if inherited.isdigit():
        return socket.socket(fileno=int(inherited))
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.create_server(
        (config.host, config.port), family=family, backlog=_BACKLOG
    )
    listener.setblocking(False)
    return listener


def _fail(message: str, status: int) -> int:
    sys.stderr.write(f"pool data: {message}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
