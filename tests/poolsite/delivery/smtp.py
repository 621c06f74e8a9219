"""A mail server of forty lines: takes every message and remembers it."""

from __future__ import annotations

import socketserver
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self, cast


class MailServer:
    """An SMTP server on a free loopback port; ``refusing`` answers 550 to all."""

    def __init__(self, *, refusing: bool = False) -> None:
        self.messages: list[EmailMessage] = []
        self.envelopes: list[list[str]] = []
        self.refusing = refusing
        self._server = socketserver.ThreadingTCPServer(
            ("127.0.0.1", 0), self._handler()
        )
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

            def handle(self) -> None:
                self.say("220 ready")
                to: list[str] = []
                for line in self.rfile:
                    verb = line[:4].upper()
                    if verb == b"RCPT":
                        to.append(line.decode().partition("<")[2].partition(">")[0])
                        self.say("550 no" if server.refusing else "250 ok")
                    elif verb == b"DATA":
                        self.say("354 go on")
                        server.take(to, self._data())
                        self.say("250 kept")
                    elif verb == b"QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 ok")

            def _data(self) -> bytes:
                lines: list[bytes] = []
                for line in self.rfile:
                    if line == b".\r\n":
                        break
                    lines.append(line.removeprefix(b"."))
                return b"".join(lines)

        return Handler

    def take(self, to: list[str], data: bytes) -> None:
        """Keep one message."""
        parsed: Any = message_from_bytes(data, policy=policy.default)
        self.messages.append(cast(EmailMessage, parsed))
        self.envelopes.append(to)
