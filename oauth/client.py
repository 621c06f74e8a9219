"""Send what vendors' modules ask for; the only way a sign-in reaches the network."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from msgspec.structs import replace

from oauth.vendors.base import (
    Ask,
    Progress,
    Reply,
    TokenRefusedError,
    Vendor,
    VendorSettings,
)
from poolsite.clock import Clock, SystemClock
from poolsite.destinations import NotConnectedError
from poolsite.egress_control import ControlClient, EgressError, EgressRefusedError

ANSWER_LIMIT_BYTES = 1_000_000
_CLOCK = SystemClock()
_MOST_REQUESTS = 12
_NS = 1_000_000_000


def send(http: ControlClient, settings: VendorSettings, ask: Ask) -> Reply:
    """Send one request and return the answer, whatever its status.

    Errors: TokenRefusedError: ``address_refused`` and ``not_reached`` say that nothing
        was sent; ``no_answer`` that the vendor may have acted.
    Cost:   one request; redirects are not followed.
    """
    headers, body = dict(ask.headers), None
    if ask.form is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
        body = urlencode(ask.form).encode()
    elif ask.json is not None:
        headers["content-type"] = "application/json"
        body = json.dumps(ask.json).encode()
    try:
        place = http.prepare(ask.url, settings.allow_private)
        # The module builds the address from settings or checks a discovered one; the
        # secret is bound to exactly that origin from here on.
        answer = http.send(
            place,
            headers=headers,
            body=body,
            secret_origin=place.origin if ask.is_private else None,
            method=ask.method,
        )
    except EgressRefusedError as exc:
        raise _refused(
            "address_refused", "The pool may not reach this address."
        ) from exc
    except NotConnectedError as exc:
        raise _refused("not_reached", "The vendor cannot be reached.") from exc
    except EgressError as exc:
        raise _refused("no_answer", "The vendor did not answer.") from exc
    return Reply(status=answer.status, headers=answer.headers, body=answer.body)


def take_step(
    http: ControlClient,
    vendor: Vendor,
    settings: VendorSettings,
    progress: Progress,
    *,
    clock: Clock = _CLOCK,
) -> Progress:
    """Send the request a sign-in stands at and read its answer.

    Errors: TokenRefusedError.
    Cost:   one request.
    """
    reply = send(http, settings, vendor.ask(settings, progress))
    now_s = clock.time_ns() / _NS
    return vendor.advance(settings, replace(progress, wait_s=0), reply, now_s=now_s)


def take_steps(
    http: ControlClient,
    vendor: Vendor,
    settings: VendorSettings,
    progress: Progress,
    *,
    clock: Clock = _CLOCK,
) -> Progress:
    """Go on until the sign-in is done or has to wait.

    Errors: TokenRefusedError.
    Cost:   a few requests, twelve at most.
    """
    for _ in range(_MOST_REQUESTS):
        progress = take_step(http, vendor, settings, progress, clock=clock)
        if progress.is_done or progress.wait_s:
            return progress
    raise _refused("unavailable", "The vendor's sign-in does not come to an end.")


def _refused(code: str, sentence: str) -> TokenRefusedError:
    is_final = code == "address_refused"
    return TokenRefusedError(code, is_final=is_final, sentence=sentence)
