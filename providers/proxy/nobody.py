"""Find what a name leads to, and word why it leads nowhere."""

from __future__ import annotations

from typing import Final

from providers.proxy.errors import (
    ClientError,
    InternalError,
    ProxyError,
    UpstreamError,
)
from providers.proxy.exchange import Caller
from providers.proxy.plan import (
    COOLING,
    EXCLUDED,
    NO_BRIDGE,
    NO_MODEL_ACCESS,
    NO_PROVIDER_ACCESS,
    UNPRICED,
    Plan,
)
from providers.proxy.ports import Resolution, SnapshotPort
from providers.routing.access import NONE, may_use_model, may_use_provider
from providers.routing.strategies import AUTO, LOCAL

_DEFAULT_RETRY_S: Final = 30.0
_MOST_LOOKED_AT: Final = 20
_FORBIDDEN: Final = frozenset({NO_MODEL_ACCESS, NO_PROVIDER_ACCESS})


def resolve(snapshot: SnapshotPort, caller: Caller, model: str) -> Resolution:
    """Find what a requested name leads to.

    Errors:  ClientError 404 with near names the key may see; 403 for a key that may
             use no model at all; UpstreamError 503 when nobody serves it now, or none
             of them has a credential;
             InternalError 503 when a call of our own is bound to what is not served.
    """
    if caller.model_row is not None:
        return _bound(snapshot, caller.model_row)
    if caller.key.model_access == NONE:
        raise ClientError(
            "This API key may not use any model.", status=403, code="model_not_allowed"
        )
    found = snapshot.resolve(model)
    if not found.is_known:
        raise unknown_model(snapshot, caller, model)
    if not found.is_served:
        raise _unserved(model, has_offers=bool(found.some(1)))
    return found


def _bound(snapshot: SnapshotPort, model_row: int) -> Resolution:
    """Find the one model a call of our own is bound to: no alias, nobody else.

    Not a 404, which would say something about the model; only the pool lacks it.
    """
    found = snapshot.only(model_row)
    if not found.is_served:
        raise InternalError(
            "The pool does not serve this model now: it, its provider or its key is off.",
            status=503,
            code="model_not_served",
        )
    return found


def _unserved(model: str, *, has_offers: bool) -> UpstreamError:
    if has_offers:
        words = (
            f"Nobody who serves the model '{model}' has a usable key or sign-in here."
        )
    else:
        words = f"No provider serves the model '{model}' at the moment."
    return UpstreamError(
        words,
        status=503,
        code="no_credential" if has_offers else "no_provider",
        retry_after_s=_DEFAULT_RETRY_S,
    )


def is_forbidden(ways: Plan) -> bool:
    """Tell whether a plan found nobody because the key may use nobody."""
    reasons = {skip.reason for skip in ways.skipped}
    return bool(reasons) and reasons <= _FORBIDDEN


def nothing_left(ways: Plan, model: str, mode: str = AUTO) -> ProxyError:
    """Say why a plan had nobody to ask, from what was passed over."""
    reasons = {skip.reason for skip in ways.skipped}
    if not reasons and mode != AUTO:
        where = "locally" if mode == LOCAL else "in the cloud"
        return ClientError(
            f"Nobody serves the model '{model}' {where}, as this request is routed.",
            status=404,
            code="model_not_in_mode",
            param="model",
        )
    if EXCLUDED in reasons and reasons <= (_FORBIDDEN | {EXCLUDED}):
        return ClientError(
            f"'x-pool-exclude' leaves nobody who serves the model '{model}'.",
            code="all_excluded",
            param="x-pool-exclude",
        )
    if is_forbidden(ways):
        what = "model" if NO_MODEL_ACCESS in reasons else "provider"
        return ClientError(
            f"This API key may not use the {what} behind '{model}'.",
            status=403,
            code=f"{what}_not_allowed",
            param="model",
        )
    if reasons and reasons <= (_FORBIDDEN | {UNPRICED}):
        return ClientError(
            f"The price of '{model}' is unknown, and this API key has a budget that "
            "needs one. Set a price for the model.",
            status=403,
            code="model_unpriced",
            param="model",
        )
    if ways.wish.op != "chat" and reasons <= (_FORBIDDEN | {NO_BRIDGE}):
        return ClientError(
            f"No provider of '{model}' can serve this kind of request.",
            code="not_supported",
            param="model",
        )
    return _resting(ways, model)


def _resting(ways: Plan, model: str) -> UpstreamError:
    """Say how long those who could serve rest, as far as that is known."""
    waits = [skip for skip in ways.skipped if skip.reason.startswith(COOLING)]
    known = [skip.retry_after_s for skip in waits if skip.retry_after_s is not None]
    wait_s = min(known) if known else _DEFAULT_RETRY_S
    if waits and {skip.reason for skip in waits} <= {COOLING + "rate_limit"}:
        return UpstreamError(
            f"Every provider of '{model}' is rate limited; try again in "
            f"{max(1, round(wait_s))} s.",
            status=429,
            code="rate_limit_exceeded",
            retry_after_s=wait_s,
        )
    return UpstreamError(
        f"No provider of '{model}' is usable at the moment.",
        status=503,
        code="no_provider",
        retry_after_s=wait_s,
    )


def unknown_model(snapshot: SnapshotPort, caller: Caller, model: str) -> ClientError:
    """Word a 404; names the key may not use are not hinted at."""
    names = snapshot.resolve(model).near
    near = [name for name in names if _may_see(snapshot, caller, name)]
    shown = model if len(model) <= 100 else model[:99] + "…"
    words = f"The model '{shown}' does not exist here."
    if near:
        quoted = ", ".join(f"'{name}'" for name in near)
        words += f" Did you mean {quoted}?"
    return ClientError(words, status=404, code="model_not_found", param="model")


def _may_see(snapshot: SnapshotPort, caller: Caller, name: str) -> bool:
    key = caller.key
    if key.model_access == "all" and key.provider_access == "all":
        return True
    return any(
        may_use_model(key, name, (route.provider.slug, route.model.model_id))
        and may_use_provider(key, route.provider.slug)
        for route in snapshot.resolve(name).some(_MOST_LOOKED_AT)
    )
