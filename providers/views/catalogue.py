"""The catalogue as a grid of tiles, filtered by what a person looks for."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from poolsite.ui.render import render
from providers import selectors_catalogue as catalogue


def grid(request: HttpRequest) -> HttpResponse:
    """Show who can be added; works as a plain form of GET parameters."""
    wanted = catalogue.Wanted.of(request.GET)
    found = catalogue.tiles(wanted)
    context: dict[str, Any] = {
        "wanted": wanted,
        "tiles": found,
        "kinds": catalogue.KINDS.items(),
        "regions": catalogue.regions(),
        "auths": catalogue.AUTH.items(),
        "capabilities": catalogue.CAPABILITIES.items(),
    }
    return render(
        request,
        "providers/providers/catalogue.html",
        context,
        piece="providers/providers/_tiles.html",
    )
