"""Read how a call wants its routes chosen: its headers, its key, the pool."""

from __future__ import annotations

from typing import Final

from providers.proxy.call import Call
from providers.proxy.errors import ClientError
from providers.routing.overrides import OverrideError, way_of
from providers.routing.types import Way

_CLIENT: Final = "client"
_BOUND: Final = Way()


def way_of_call(call: Call) -> Way:
    """Return how a call wants its routes chosen.

    Errors:  ClientError 400 for a header its key does not allow, or nobody knows.
    """
    caller = call.caller
    if caller.model_row is not None:
        return _BOUND
    try:
        return way_of(
            caller.key,
            call.settings.routing,
            call.inbound.fields,
            is_own=caller.purpose != _CLIENT,
        )
    except OverrideError as error:
        raise ClientError(str(error), code=error.code, param=error.header) from error
