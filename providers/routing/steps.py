"""Say what each class of failure leads to.

================  ==========  =====  ====================================================
class             condemns    retry  then
================  ==========  =====  ====================================================
auth              candidate   no     the next credential; an account renews its token
quota             candidate   no     the next credential
rate_limit        candidate   no     the next credential; waits when nobody else is left
overloaded        candidate   once   the next credential; a 529 is not repeated
unavailable       candidate   once   the next credential
server_error      candidate   once   the next credential
timeout           candidate   no     the next credential: the time is spent already
connect           origin      once   the next provider on another host
model             candidate   no     the next model or provider
dialect           origin      no     another dialect of the provider, else another host
context_overflow  larger      no     a model with a larger known window, else the error
image_size        request     no     fail fast
image_dimension   request     no     fail fast
format            request     no     fail fast
request           request     no     fail fast
unknown           request     no     fail fast: the upstream's own words are the best
================  ==========  =====  ====================================================
"""

from __future__ import annotations

from typing import Final

import msgspec

REQUEST: Final = "request"
CANDIDATE: Final = "candidate"
ORIGIN: Final = "origin"
LARGER: Final = "larger"
"""A request too long for this model: only a larger one is worth asking."""


class Step(msgspec.Struct, frozen=True):
    """What one class decides.

    Shapes:  ``scope`` names what is condemned; ``health`` is the word the health view
             takes for it, blank when it says nothing about the upstream.
    """

    scope: str = REQUEST
    may_repeat: bool = False
    health: str = ""


STEPS: Final[dict[str, Step]] = {
    "auth": Step(CANDIDATE, health="auth"),
    "quota": Step(CANDIDATE, health="quota"),
    "rate_limit": Step(CANDIDATE, health="rate_limit"),
    "overloaded": Step(CANDIDATE, may_repeat=True, health="unavailable"),
    "unavailable": Step(CANDIDATE, may_repeat=True, health="unavailable"),
    "server_error": Step(CANDIDATE, may_repeat=True, health="server_error"),
    "timeout": Step(CANDIDATE, health="timeout"),
    "connect": Step(ORIGIN, may_repeat=True, health="connect"),
    "model": Step(CANDIDATE, health="model"),
    "dialect": Step(ORIGIN, health="server_error"),
    "context_overflow": Step(LARGER),
    "image_size": Step(),
    "image_dimension": Step(),
    "format": Step(),
    "request": Step(),
    "unknown": Step(),
}
