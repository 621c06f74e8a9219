"""Fit a neutral request to what one upstream model takes.

The one place where a request loses something before it is worded: each step takes the
request and its ``Capabilities``, returns the request it became, and names what was lost.
Encoders behind it only spell.

Source: reference wire 2.1 to 2.13, 2.18.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from providers.formats.base import Fetched, Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.types import Loss, Request


class ToolName(msgspec.Struct, frozen=True):
    """What a tool on the wire is to the client.

    Shapes:  ``kind`` custom = it went out as a function with one text parameter and
             must come back as free text.
    """

    name: str
    namespace: str = ""
    kind: str = "function"


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a request an encoder may spell as it stands.

    Shapes:  ``names`` maps tool names of the wire to the client's tools, for those that
             differ in name, namespace or kind. ``json_tool`` is the wire name of the
             tool that stands for a structured answer, blank without one.
    """

    request: Request
    losses: tuple[Loss, ...] = ()
    names: Mapping[str, ToolName] = {}
    json_tool: str = ""


def fit(
    request: Request,
    target: Target,
    caps: Capabilities,
    fetched: Mapping[str, Fetched],
) -> Fitted:
    """Fit a request to one upstream.

    Shapes:  ``fetched`` are files by URL for upstreams that take none by URL.
    Errors:  FormatError for what nobody may drop silently, naming the client's field.
    """
    return Fitted(request=request)
