"""The errors of the data plane, each fit to be shown to a client.

::

    ProxyError
    ├── ClientError          the caller's fault; repeating it changes nothing
    │   ├── UnauthenticatedError   401, 403: no key, a wrong one, one that may not
    │   └── BodyError              400, 408, 413, 415: the body did not arrive
    ├── LimitReachedError    429: a rate or a budget of the caller's is used up
    ├── UpstreamError        what is left when no candidate could serve
    └── InternalError        500, 503: ours

Every error has ``status``, ``code`` (a stable word), ``retryable`` (sent as
``x-should-retry``) and a public ``message`` free of secrets; the wire format of the
path words it. ``ClientGoneError`` stands beside the tree: nobody is left to tell.
"""

from __future__ import annotations

from typing import Final

from providers.formats.base import FormatError
from providers.formats.errors import ErrorDetail

CLIENT_CLOSED_STATUS: Final = 499
"""Recorded when the client left first; never sent, nobody would read it."""


class ProxyError(Exception):
    """Refuse or fail one client call.

    Shapes:  ``kind`` is the dialect-neutral type (``invalid_request_error``), None
             lets the wire format choose by status. ``raw`` is an upstream's own body
             to be passed on verbatim in place of ours.
    Units:   ``retry_after_s`` in seconds, None = say nothing.
    """

    status: int = 500
    code: str = "internal_error"
    retryable: bool | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        kind: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = self.status if status is None else status
        self.code = self.code if code is None else code
        self.param = param
        self.kind = kind
        self.retry_after_s = retry_after_s
        self.raw: bytes | None = None
        self.raw_content_type: str = "application/json"
        self.headers: tuple[tuple[bytes, bytes], ...] = ()

    def detail(self) -> ErrorDetail:
        """Return what a wire format needs to word this error."""
        return ErrorDetail(
            message=self.message,
            type=self.kind,
            code=self.code,
            param=self.param,
            status=self.status,
            retry_after_s=self.retry_after_s,
        )


class ClientError(ProxyError):
    """Refuse what the client sent; the same request would be refused again."""

    status = 400
    code = "invalid_request"
    retryable = False


class UnauthenticatedError(ClientError):
    """Refuse a caller without a usable key; nothing is recorded for strangers."""

    status = 401
    code = "invalid_api_key"


class BodyError(ClientError):
    """Refuse a body that is too large, too slow or in an unknown encoding."""


class LimitReachedError(ProxyError):
    """Refuse because a limit of the caller's is used up; nothing was consumed.

    Shapes:  ``limit`` names the limit (``rpm``, ``budget``); the reset time stands in
             the message and in ``retry_after_s``.
    """

    status = 429
    code = "rate_limit_exceeded"
    limit: str = ""


class UpstreamError(ProxyError):
    """Report that no candidate served the request."""

    status = 502
    code = "upstream_error"


class InternalError(ProxyError):
    """Report a fault of our own, or that this process takes no work now."""

    retryable = True


class ClientGoneError(Exception):
    """The client left or stopped reading; there is nobody to answer."""

    def __init__(self, reason: str = "disconnected") -> None:
        super().__init__(reason)
        self.reason = reason


def from_format_error(error: FormatError) -> ClientError:
    """Turn a wire format's refusal of a body into an error of the proxy."""
    return ClientError(
        error.message, status=error.status, code=error.code, param=error.param
    )
