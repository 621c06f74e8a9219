"""Fit a neutral request to what one upstream model takes.

The one place where a request loses something before it is worded: each step takes the
request and its ``Capabilities``, returns the request it became, and names what was lost.
Encoders behind it only spell.

Source: reference wire 2.1 to 2.13, 2.18.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from providers.formats.base import Fetched, Target
from providers.formats.capabilities import Capabilities
from providers.formats.neutral.fit.cache_marks import fit_cache_marks
from providers.formats.neutral.fit.choice import downgraded
from providers.formats.neutral.fit.limits import fit_limits
from providers.formats.neutral.fit.losses import Losses
from providers.formats.neutral.fit.media import fit_media
from providers.formats.neutral.fit.output import fit_output
from providers.formats.neutral.fit.parts import fit_parts
from providers.formats.neutral.fit.refused import without_refused
from providers.formats.neutral.fit.results import fit_results
from providers.formats.neutral.fit.sampling import fit_sampling
from providers.formats.neutral.fit.state import fit_state
from providers.formats.neutral.fit.thinking import fit_thinking, is_thinking
from providers.formats.neutral.fit.tools import Naming, fit_tools
from providers.formats.neutral.fit.turns import fit_turns
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

    Shapes:  ``fetched`` are files by URL for upstreams that take none by URL (see
             ``media.urls_to_fetch``). Results stand in a tool turn directly behind
             their calls; what the user said next is a turn of its own, which dialects
             without tool turns join to it. Fitting twice changes nothing.
    Errors:  FormatError for what nobody may drop silently, naming the client's field.
    """
    losses = Losses()
    caps = without_refused(caps, target.drop)
    request = fit_state(request, caps, losses)
    request = fit_parts(request, target, caps, losses)
    request = fit_media(request, caps, fetched, losses)
    request = fit_results(request, caps, losses)
    request = fit_turns(request, caps, losses)
    request, naming = fit_tools(request, caps, losses)
    request = fit_thinking(request, caps, losses)
    request = fit_limits(request, target, caps, losses)
    request = fit_sampling(request, caps, losses)
    choice = downgraded(request.tool_choice, caps, losses, thinks=is_thinking(request))
    if choice is not request.tool_choice:
        request = replace(request, tool_choice=choice)
    request, json_tool = fit_output(request, caps, losses)
    request = fit_cache_marks(request, caps, losses)
    return Fitted(
        request=request,
        losses=losses.all,
        names=_way_back(naming, caps),
        json_tool=json_tool,
    )


def _way_back(naming: Naming, caps: Capabilities) -> dict[str, ToolName]:
    """Return what the client calls each tool of the wire that differs."""
    names: dict[str, ToolName] = {}
    for key, wire in naming.wire.items():
        namespace, name = key
        known = ToolName(name, namespace, naming.kinds.get(key, "function"))
        # An upstream that knows namespaces says them itself.
        is_told = caps.namespaces and known.kind == "function" and name == wire
        if known != ToolName(wire) and not is_told:
            names[wire] = known
    return names
