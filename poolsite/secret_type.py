"""Hold a secret so that it does not slip into a log, a page or a file.

Python cannot wipe memory; what it can do is refuse every way a value usually leaks:
printing, formatting, pickling and JSON.
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn, final

_MASK: Final = "****"


@final
class Secret:
    """A text that only ``reveal`` gives out.

    ``origin`` is the scheme, host and port the secret may be sent to; None means it
    is not for sending.
    """

    __slots__ = ("_text", "origin")

    def __init__(self, text: str, origin: str | None = None) -> None:
        self._text = text
        self.origin = origin

    def reveal(self) -> str:
        """Return the text itself, at the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({_MASK})"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return _MASK

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        same = hmac.compare_digest(self._text.encode(), other._text.encode())
        return same and self.origin == other.origin

    # Equal secrets must not become findable as dictionary keys.
    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A secret is not serialised.")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self
