"""A loopback server that counts who reached it and answers as it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Sinkhole:
    """Counts accepted connections and keeps what was sent over each."""

    def __init__(self, answer: bytes, family: int = socket.AF_INET) -> None:
        self.answer = answer
        self.accepted = 0
        self.received: list[bytes] = []
        self.asked = threading.Event()
        self._hangs_up = threading.Event()
        self._listener = _listen(family)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(5)
            try:
                while data := connection.recv(65_536):
                    self.received.append(data)
                    self.asked.set()
                    connection.sendall(self.answer)
                    if self._hangs_up.wait(0.2):
                        return
            except OSError:
                return

    def hang_up(self) -> None:
        """Close each connection behind its answer."""
        self._hangs_up.set()

    def close(self) -> None:
        # Shutting down wakes the accepting thread; closing alone would not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def _listen(family: int) -> socket.socket:
    """Listen on a free port; a machine without IPv6 gets an IPv4 one instead."""
    if family == socket.AF_INET6:
        try:
            return socket.create_server(("::1", 0), family=family)
        except OSError:
            pass
    return socket.create_server(("127.0.0.1", 0))


@contextmanager
def sinkhole(answer: bytes = OK, family: int = socket.AF_INET) -> Iterator[Sinkhole]:
    """Serve on a free loopback port for as long as the block runs."""
    server = Sinkhole(answer, family)
    try:
        yield server
    finally:
        server.close()
