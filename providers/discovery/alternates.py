"""Try a provider's other addresses when one refuses the key.

Vendors run several sites whose keys differ. Another site is another origin, so a key
goes there only where that is allowed: the catalogue lists the address for this very
provider, or a person said so.

Source: reference seeds 5.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from poolsite.clock import SystemClock
from poolsite.destinations import EgressRefusedError, host_port_of
from poolsite.secret_type import Secret
from providers.discovery.asking import TOTAL_S, Asker, Candidate
from providers.discovery.calling import make_call, says_model_missing, send_call
from providers.discovery.check import CheckResult, check_with
from providers.formats.base import FormatError
from providers.routing.format_plan import locked_format

PAIRS: Final = (
    ("https://api.moonshot.cn", "https://api.moonshot.ai"),
    ("https://api.siliconflow.cn", "https://api.siliconflow.com"),
    ("https://dashscope.aliyuncs.com", "https://dashscope-intl.aliyuncs.com"),
    ("https://open.bigmodel.cn", "https://api.z.ai"),
    ("https://api.stepfun.com", "https://api.stepfun.ai"),
    ("https://api.minimaxi.com", "https://api.minimax.io"),
)
"""Sites of one vendor; what follows the host is the same on both."""

_MODELS_TRIED: Final = 3


@dataclass(frozen=True)
class Winner:
    """The address and the format that took the key."""

    base_url: str
    api_format: str
    model: str = ""
    models: tuple[str, ...] = ()


def twins_of(base_url: str) -> tuple[str, ...]:
    """Return the same address at the vendor's other sites, by its host alone."""
    parts = urlsplit(base_url)
    host = f"{parts.scheme}://{parts.netloc}".lower()
    for pair in PAIRS:
        if host in pair:
            other = pair[1 - pair.index(host)]
            return (f"{other}{parts.path}".rstrip("/"),)
    return ()


def is_refused(result: CheckResult) -> bool:
    """Tell whether a test ended because the key was not accepted."""
    failure = result.failure
    return (
        failure is not None
        and failure.name in ("authentication", "call")
        and failure.status in (401, 403)
    )


def try_alternates(
    candidate: Candidate,
    secret: Secret,
    alternates: Iterable[str],
    *,
    formats: Sequence[str] = (),
    models: Sequence[str] = (),
) -> Winner | None:
    """Return the first other address that takes the key, None when none does.

    Shapes:  ``formats`` are tried in order at each, blank = the candidate's own;
             ``models`` are called where a list of models proves nothing.
    Fails:   never raises for what the servers do.
    Cost:    one request an address and format, a call of one token for each model;
             30 s in all.
    """
    here = candidate.base_url.rstrip("/")
    clock = SystemClock()
    ends = clock.monotonic() + TOTAL_S
    others = [url.rstrip("/") for url in dict.fromkeys(alternates)]
    for url in others:
        if url == here:
            continue
        # An address that names a format itself speaks no other.
        locked = locked_format(url, is_custom=False)
        for name in (locked,) if locked else formats or (candidate.api_format,):
            there = replace(
                candidate,
                base_url=url,
                api_format=name,
                # A private address was allowed exactly as it stands, no other one.
                allow_private=candidate.allow_private and _is_same(url, here),
            )
            left = ends - clock.monotonic()
            won = _accepted(Asker(there, secret, total_s=left), models)
            if won is not None:
                return won
    return None


def _is_same(url: str, here: str) -> bool:
    try:
        return host_port_of(url) == host_port_of(here)
    except (ValueError, EgressRefusedError):
        return False


def _accepted(asker: Asker, models: Sequence[str]) -> Winner | None:
    candidate = asker.candidate
    result = check_with(asker)
    if result.ok:
        return Winner(
            candidate.base_url, candidate.api_format, models=tuple(result.models)
        )
    if is_refused(result) or result.state != "not_supported":
        return None
    for model in models[:_MODELS_TRIED]:
        try:
            call = make_call(candidate, model)
        except FormatError:
            return None
        heard = send_call(asker, call)
        if heard.status is not None and heard.status < 300 and not call.read(heard):
            return Winner(candidate.base_url, candidate.api_format, model)
        said = f"{asker.quoted(heard)} {asker.code(heard)}"
        if not says_model_missing(heard.status, said):
            return None
    return None
