"""Find ports on loopback."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def closed_port() -> int:
    """Return a port where a connection is refused, as a dead vendor's would be."""
    return free_port()
