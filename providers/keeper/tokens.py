"""Serve access tokens to the data workers over a Unix socket.

One line of JSON asks, one answers:

    {"account_id": 7, "seen_version": 3}
    {"credential": {...}, "error": ""}

A worker asks when an upstream refused the token it has. A newer one in the database is
given back at once. Accounts whose token is static have no other: the answer says that
somebody must sign in again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socketserver
import threading
from pathlib import Path
from typing import Final

import msgspec
from django.db import DatabaseError, connection

from oauth import tokens
from providers.snapshot import records
from providers.snapshot.types import CredentialRecord

_MAX_LINE: Final = 4096
_log: Final = logging.getLogger("providers.keeper")


class TokenAsk(msgspec.Struct, frozen=True):
    """A worker's question."""

    account_id: int
    seen_version: int


class TokenAnswer(msgspec.Struct, frozen=True):
    """The answer; a credential as the snapshot holds it, or why there is none."""

    credential: CredentialRecord | None = None
    error: str = ""


def answer(ask: TokenAsk) -> TokenAnswer:
    """Return a token newer than the one seen, if there is one; one query."""
    try:
        account = tokens.newer_than(ask.account_id, ask.seen_version)
    except tokens.NoTokenError as error:
        return TokenAnswer(error=error.reason)
    return TokenAnswer(records.account_credential(account))


class TokenServer:
    """The socket and the threads behind it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._server = _Server(str(path), _Handler)
        os.chmod(path, 0o600)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="tokens", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and remove the socket."""
        self._server.shutdown()
        self._server.server_close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


class _Handler(socketserver.StreamRequestHandler):
    timeout = 30

    def handle(self) -> None:
        """Answer questions until the worker hangs up."""
        try:
            with contextlib.suppress(OSError):
                while line := self.rfile.readline(_MAX_LINE):
                    reply = _reply(line)
                    self.wfile.write(msgspec.json.encode(reply) + b"\n")
        finally:
            connection.close()


def _reply(line: bytes) -> TokenAnswer:
    try:
        return answer(msgspec.json.decode(line, type=TokenAsk))
    except msgspec.MsgspecError:
        return TokenAnswer(error="malformed")
    except DatabaseError as error:
        _log.warning("token_refused: %s", error)
        return TokenAnswer(error="database")
