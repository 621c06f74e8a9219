"""Rename a model where a Gemini body repeats it: embeddings and counts of tokens."""

from __future__ import annotations

import msgspec

from providers.formats.gemini_generate.fields import list_of
from providers.formats.gemini_generate.peek import members_of
from providers.formats.jsonspans import patch

_REQUEST_NAMES = ("generateContentRequest", "generate_content_request")


def rename_embedded(values: dict[str, msgspec.Raw], resource: str) -> dict[str, bytes]:
    """Return the members that name a model, with another name.

    Shapes:  ``values`` are a body's members; ``resource`` is ``models/...``.
    Errors:  FormatError for a member that cannot be read.
    """
    name = msgspec.json.encode(resource)
    changes: dict[str, bytes] = {}
    if "model" in values:
        changes["model"] = name
    for key in _REQUEST_NAMES:
        if key in values:
            members = members_of(bytes(values[key]), key)
            changes[key] = patch(members, {"model": name})
    if "requests" in values:
        renamed = [
            patch(members_of(bytes(each), "requests"), {"model": name})
            for each in list_of(values["requests"], "requests")
        ]
        changes["requests"] = b"[" + b",".join(renamed) + b"]"
    return changes
