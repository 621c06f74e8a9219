"""Find the parts of a form and exchange one of them, with every other byte kept.

Files are megabytes and stay where they are: a part is two places in the body.

Source: RFC 7578 and RFC 2046 5.1.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from providers.formats.base import FormatError

_BOUNDARY: Final = re.compile(
    rb';\s*boundary\s*=\s*(?:"([^"\r\n]{1,200})"|([^;,\s"]{1,200}))', re.IGNORECASE
)
_NAME: Final = re.compile(
    rb';\s*name\s*=\s*(?:"((?:[^"\\\r\n]|\\.)*)"|([^;\s]+))', re.I
)
_FILE: Final = re.compile(rb";\s*filename\*?\s*=", re.IGNORECASE)
_DISPOSITION: Final = b"content-disposition:"
_MOST_PARTS: Final = 1_000
_LONGEST_HEAD: Final = 16_384
FORM: Final = b"multipart/form-data"


class Part(msgspec.Struct, frozen=True, gc=False):
    """Say where a part's value is; ``is_file`` = it came with a file's name."""

    name: str
    start: int
    end: int
    is_file: bool = False


class Form(msgspec.Struct, frozen=True):
    """Hold a form's body and where its parts are, in order.

    Shapes:  ``head_end`` is where the first part begins, boundary included.
    """

    body: bytes
    boundary: bytes
    parts: tuple[Part, ...]
    head_end: int

    def __repr__(self) -> str:
        # Recordings must not reach a log through a stray repr.
        return f"<Form {len(self.parts)} parts, {len(self.body)} bytes>"

    def part(self, name: str) -> Part | None:
        """Return the first part of a name that is no file."""
        for part in self.parts:
            if part.name == name and not part.is_file:
                return part
        return None

    def text(self, name: str) -> str | None:
        """Return a field's text, None when it was not sent or is no text."""
        part = self.part(name)
        if part is None:
            return None
        try:
            return self.body[part.start : part.end].decode()
        except UnicodeDecodeError:
            return None

    @property
    def file_bytes(self) -> int:
        """Count the bytes of all files."""
        return sum(part.end - part.start for part in self.parts if part.is_file)


def is_form(content_type: bytes) -> bool:
    """Tell whether a body is a form with parts."""
    return content_type.lstrip()[: len(FORM)].lower() == FORM


def read_form(body: bytes, content_type: bytes) -> Form:
    """Find the parts of a form.

    Errors:  FormatError for a body that is none.
    Cost:    one search over the body for each part.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise _broken("has no boundary in its content type")
    boundary = b"--" + (found[1] or found[2])
    at = 0 if body.startswith(boundary) else body.find(b"\r\n" + boundary) + 2
    if at < 2 and not body.startswith(boundary):
        raise _broken("does not contain its boundary")
    head_end = at
    parts: list[Part] = []
    while True:
        at += len(boundary)
        if body.startswith(b"--", at):
            return Form(body, boundary, tuple(parts), head_end)
        if len(parts) >= _MOST_PARTS:
            raise _broken("has too many parts")
        value, following = _value(body, at, boundary)
        parts.append(_part(body[at : value - 4], value, following - 2))
        at = following


def replaced(form: Form, name: str, value: bytes) -> bytes:
    """Return the form with one field's value exchanged, or with the field added."""
    part = form.part(name)
    if part is not None:
        return form.body[: part.start] + value + form.body[part.end :]
    field = (
        form.boundary
        + b'\r\nContent-Disposition: form-data; name="'
        + name.encode()
        + b'"\r\n\r\n'
        + value
        + b"\r\n"
    )
    return form.body[: form.head_end] + field + form.body[form.head_end :]


def _value(body: bytes, at: int, boundary: bytes) -> tuple[int, int]:
    """Return where a part's value begins, and where the next boundary does."""
    end = body.find(b"\r\n\r\n", at, at + _LONGEST_HEAD)
    if end < 0:
        raise _broken("has a part without an end of its head")
    value = end + 4
    # An empty value's line end may be that of its head.
    following = body.find(b"\r\n" + boundary, value - 2)
    if following < 0:
        raise _broken("is cut short")
    return value, max(following, value - 2) + 2


def _part(head: bytes, start: int, end: int) -> Part:
    for line in head.split(b"\r\n"):
        if line[: len(_DISPOSITION)].lower() != _DISPOSITION:
            continue
        named = _NAME.search(line)
        if named is not None:
            name = (named[1] or named[2] or b"").decode("utf-8", "replace")
            is_file = _FILE.search(line) is not None
            return Part(name, start, max(start, end), is_file)
    return Part("", start, max(start, end), is_file=True)


def _broken(words: str) -> FormatError:
    return FormatError(f"The form {words}.", code="invalid_form")
