"""Put the fragments of tool calls together, however a server cuts them.

Some servers leave out the index, give every call index 0, repeat the id on each
fragment, blank it, or make a new one each time; some send no id at all, the name late,
or a whole call at once. What belongs together is decided here, once.

Source: reference wire 2.6; pitfalls P21, P22, P27, P29.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec

from providers.formats.base import UNREADABLE
from providers.formats.neutral.events import (
    AnyEvent,
    Delta,
    OpaqueSeen,
    PartClose,
    PartOpen,
)
from providers.formats.neutral.types import Opaque
from providers.formats.openai_chat.answerwire import Call, Custom, Function
from providers.formats.openai_chat.fields import UNSET, as_object

LEGACY_INDEX: Final = -1
_NO_FUNCTION: Final = Function()


class _Building:
    """Hold one call: its ``place`` in the answer, ``pos`` once its part was opened."""

    __slots__ = (
        "id",
        "is_closed",
        "is_custom",
        "name",
        "opaque",
        "pieces",
        "place",
        "pos",
    )

    def __init__(self, place: int) -> None:
        self.place = place
        self.id = ""
        self.name = ""
        self.is_custom = False
        self.is_closed = False
        self.pos: int | None = None
        self.pieces: list[str] = []
        self.opaque: list[Opaque] = []

    @property
    def is_whole(self) -> bool:
        """The arguments are one JSON object: nothing can follow."""
        # Most pieces end elsewhere, and to join them all each time adds up.
        last = self.pieces[-1].rstrip() if self.pieces else ""
        if last and last[-1] != "}":
            return False
        text = "".join(self.pieces).strip()
        if text[-1:] != "}":
            return False
        try:
            return isinstance(msgspec.json.decode(text), dict)
        except UNREADABLE:
            return False


class Calls:
    """Put together the calls of one choice.

    Shapes:  ``seed`` makes ids for calls that have none; ``used`` are the ids of the
             whole answer. A call is opened once its name and its id are known, or
             when its arguments begin and no id came.
    """

    __slots__ = (
        "_by_id",
        "_by_index",
        "_calls",
        "_changed",
        "_choice",
        "_last",
        "_next_pos",
        "_proof",
        "_seed",
        "_used",
    )

    def __init__(
        self,
        choice: int,
        seed: Callable[[], str],
        *,
        next_pos: Callable[[], int],
        used: set[str],
        proof: tuple[str, str],
    ) -> None:
        self._choice = choice
        self._seed = seed
        self._next_pos = next_pos
        self._used = used
        self._proof = proof
        self._calls: list[_Building] = []
        self._changed: dict[int, _Building] = {}
        self._by_id: dict[str, _Building] = {}
        self._by_index: dict[int, _Building] = {}
        self._last: _Building | None = None

    def take(self, fragments: list[Call], out: list[AnyEvent], *, whole: bool) -> None:
        """Take the fragments of one chunk; ``whole`` = each is a call of its own."""
        for place, fragment in enumerate(fragments):
            self._take(fragment, out, is_new=whole, is_first=place == 0)

    def take_legacy(self, function: Function, out: list[AnyEvent]) -> None:
        """Take a fragment of the one call of the legacy shape."""
        call = Call(index=LEGACY_INDEX, function=function)
        self._take(call, out, is_new=False, is_first=True)

    def finish(self, out: list[AnyEvent]) -> None:
        """Open what waits, give empty arguments their object, close all."""
        for call in self._calls:
            if call.pos is None and call.name:
                self._open(call, out)
            if call.pos is not None:
                self._close(call, out)

    def _take(
        self, fragment: Call, out: list[AnyEvent], *, is_new: bool, is_first: bool
    ) -> None:
        """Take one fragment."""
        custom = fragment.custom
        name, text = _said(fragment.function, custom)
        call = None if is_new else self._known(fragment, name, is_first=is_first)
        if call is None:
            call = self._begin(out)
        if fragment.index is not None:
            self._by_index[fragment.index] = call
        self._last = self._changed[call.place] = call
        if call.pos is None:
            self._describe(call, fragment, name)
        if fragment.extra_content is not UNSET:
            self._sign(call, fragment.extra_content, out)
        if call.pos is None and call.name and (call.id or text):
            self._open(call, out)
        if text:
            call.pieces.append(text)
            if call.pos is not None and not call.is_closed:
                out.append(Delta(pos=call.pos, text=text))

    def _known(self, fragment: Call, name: str, *, is_first: bool) -> _Building | None:
        """Return the call a fragment goes on with, None for a new one."""
        wire_id, index = fragment.id or "", fragment.index
        by_id = self._by_id.get(wire_id) if wire_id else None
        if index is None:
            call = by_id
            if call is None and (is_first or not name) and not (wire_id and name):
                call = self._last
        else:
            call = self._by_index.get(index)
            if by_id is not None and (call is not None or not name):
                call = by_id
        if call is None or not name:
            return call
        if wire_id and call.id and call.id != wire_id:
            return None
        if wire_id and call is by_id:
            return call
        if call.name and (call.name != name or call.is_whole):
            return None
        return call

    def _begin(self, out: list[AnyEvent]) -> _Building:
        """Begin a call; those before it whose arguments are whole can be closed."""
        for call in self._changed.values():
            if call.pos is not None and not call.is_closed and call.is_whole:
                self._close(call, out)
        # Only what is added to can become whole: there may be thousands of others.
        self._changed.clear()
        call = _Building(len(self._calls))
        self._calls.append(call)
        return call

    def _describe(self, call: _Building, fragment: Call, name: str) -> None:
        """Keep the first name and the first id that say something."""
        call.name = call.name or name
        call.is_custom = call.is_custom or fragment.custom is not None
        if not call.id and fragment.id:
            self._by_id.setdefault(fragment.id, call)
            if fragment.id not in self._used:
                self._used.add(fragment.id)
                call.id = fragment.id

    def _open(self, call: _Building, out: list[AnyEvent]) -> None:
        """Open a call's part, with an id of our own where none came."""
        if not call.id:
            call.id = self._minted(call)
        call.pos = self._next_pos()
        out.append(
            PartOpen(
                pos=call.pos,
                kind="tool_call",
                choice=self._choice,
                id=call.id,
                name=call.name,
                tool_kind="custom" if call.is_custom else "function",
            )
        )
        out += [OpaqueSeen(pos=call.pos, opaque=each) for each in call.opaque]
        out += [Delta(pos=call.pos, text=piece) for piece in call.pieces]

    def _close(self, call: _Building, out: list[AnyEvent]) -> None:
        """Close a call's part."""
        if call.pos is None or call.is_closed:
            return
        if not call.is_custom and not "".join(call.pieces).strip():
            out.append(Delta(pos=call.pos, text="{}"))
        call.is_closed = True
        out.append(PartClose(pos=call.pos))

    def _sign(self, call: _Building, raw: msgspec.Raw, out: list[AnyEvent]) -> None:
        """Keep the proof Google puts on a call."""
        google = as_object(raw).get("google")
        signed = google.get("thought_signature") if isinstance(google, dict) else None
        if not isinstance(signed, str) or not signed:
            return
        model, scope = self._proof
        proof = Opaque(
            family="google",
            slot="thought_signature",
            data=signed,
            model=model,
            scope=scope,
        )
        call.opaque.append(proof)
        if call.pos is not None and not call.is_closed:
            out.append(OpaqueSeen(pos=call.pos, opaque=proof))

    def _minted(self, call: _Building) -> str:
        """Make an id that the same answer makes again."""
        seed = f"{self._seed()}/{self._choice}/{call.place}/{call.name}".encode()
        minted = "call_" + hashlib.blake2b(seed, digest_size=12).hexdigest()
        self._used.add(minted)
        return minted


def _said(function: Function | None, custom: Custom | None) -> tuple[str, str]:
    """Return a fragment's name and text."""
    if custom is not None:
        return custom.name or "", custom.input or ""
    function = function or _NO_FUNCTION
    return function.name or "", function.arguments or ""
