"""The base of formats whose upstream is a program on this machine.

They are upstream only: no client speaks them, so their side towards clients is chat
completions' and never used. They do not stream; a streaming client gets the whole
answer split up by the translation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from providers.formats.base import Bridge, Op, Route, Target
from providers.formats.capabilities import Capabilities
from providers.formats.cli_backed import answers
from providers.formats.cli_backed.command import Command, Printed
from providers.formats.cli_backed.prompt import Worded, word
from providers.formats.neutral.codec import Codec, Decoder, Encoded, Reply
from providers.formats.neutral.events import AnyEvent
from providers.formats.neutral.types import Request
from providers.formats.openai_chat.codec import ChatCodec
from providers.formats.openai_chat.dialect import OpenAIChat

_NO_ANSWER: Final = "the program's answer could not be read"


class Speech(Protocol):
    """How one program is told what to do, and how it prints what it did."""

    def command(self, worded: Worded, model: str, *, has_workspace: bool) -> Command:
        """Return what to run for a request in words.

        Shapes:  without a workspace there is nothing to look at: the program gets no
                 tools of its own, so that no client reads this machine through it.
        """

    def read(self, printed: Printed, model: str) -> list[AnyEvent]:
        """Return the events of what was printed.

        Fails:   never; what is no answer is a ``Failed``.
        """


class ProgramCodec(ChatCodec):
    """Translate for a program."""

    def __init__(self, format_id: str, speech: Speech) -> None:
        self.id = format_id
        self._speech = speech

    def encode_request(
        self, request: Request, target: Target, caps: Capabilities
    ) -> Encoded:
        """Word a request as a command."""
        worded = word(request)
        has_workspace = bool(target.options.get("workspace"))
        command = self._speech.command(
            worded, target.model, has_workspace=has_workspace
        )
        return Encoded(body=msgspec.json.encode(command), path="", losses=worded.losses)

    def decode_answer(self, body: bytes, reply: Reply) -> list[AnyEvent]:
        """Take apart what a program printed."""
        printed = answers.read_printed(body)
        if printed is None:
            return answers.failed(_NO_ANSWER)
        return self._speech.read(printed, reply.model)

    def open_decoder(self, reply: Reply) -> Decoder:
        """Collect an answer that came in pieces."""
        return _Collector(self, reply)


class ProgramFormat(OpenAIChat):
    """Run a program instead of calling an address."""

    routes: tuple[Route, ...] = ()

    def __init__(self, format_id: str, speech: Speech) -> None:
        self.id = format_id
        self._codec = ProgramCodec(format_id, speech)

    def upstream_path(self, op: Op, *, model: str, stream: bool) -> str:
        """Return nothing: there is no address."""
        return ""

    def auth_headers(self, secret: str) -> Mapping[str, str]:
        """Return nothing: a program has a login of its own."""
        return {}

    def relay(self, inbound: str, op: Op, model: str) -> Bridge | None:
        """Return None: everything is translated."""
        return None

    def codec(self, model: str) -> Codec | None:
        """Return the translator."""
        return self._codec


class _Collector:
    """Read a whole answer at its end."""

    def __init__(self, codec: ProgramCodec, reply: Reply) -> None:
        self._codec = codec
        self._reply = reply
        self._body = bytearray()

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Keep some bytes."""
        self._body += data
        return []

    def eof(self) -> list[AnyEvent]:
        """Read what was kept."""
        return self._codec.decode_answer(bytes(self._body), self._reply)
