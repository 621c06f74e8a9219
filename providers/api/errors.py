"""The shape of every refusal of the admin API.

    {"error": {"code": "invalid", "message": "...", "fields": {"base_url": "..."}}}

What was sent is never repeated in it: it may hold a secret.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from oauth.services import AccountError
from poolsite.delivery.services import ChannelError
from poolsite.money import AmountError
from poolsite.people import PeopleError
from poolsite.tokens import TokenError
from pricing.feeds.services import FeedSettingError
from pricing.services import PriceError
from providers.imports.pool import ImportFileError
from providers.services.errors import ServiceError
from usage.services import UsageError

_REFUSALS: Final = (
    AccountError,
    AmountError,
    ChannelError,
    ImportFileError,
    PeopleError,
    FeedSettingError,
    PriceError,
    ServiceError,
    TokenError,
    UsageError,
)
_CODES: Final = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    422: "invalid",
}
_log: Final = logging.getLogger("providers.api")


def install(api: NinjaAPI) -> None:
    """Answer every failure of an API in the one shape."""
    answers = _Answers(api)
    for refusal in _REFUSALS:
        api.add_exception_handler(refusal, answers.refused)
    api.add_exception_handler(ValidationError, answers.misread)
    api.add_exception_handler(AuthenticationError, answers.stranger)
    api.add_exception_handler(Http404, answers.missing)
    api.add_exception_handler(HttpError, answers.plain)
    api.add_exception_handler(Exception, answers.crashed)


class _Answers:
    def __init__(self, api: NinjaAPI) -> None:
        self._api = api

    def refused(self, request: HttpRequest, exc: Any) -> HttpResponse:
        """A service said no; its message is written for a person."""
        field = getattr(exc, "field", "")
        fields = {field: str(exc)} if field else {}
        code = getattr(exc, "code", "")
        return self._answer(request, 422, str(exc), fields, code=code)

    def misread(self, request: HttpRequest, exc: Any) -> HttpResponse:
        """The request is not what the schema says."""
        fields = {
            ".".join(str(part) for part in each["loc"][1:]) or "body": str(each["msg"])
            for each in exc.errors
        }
        return self._answer(request, 422, "The request cannot be read.", fields)

    def stranger(self, request: HttpRequest, exc: Any) -> HttpResponse:
        """Nobody is behind this request."""
        answer = self._answer(
            request, 401, "Send an API token: Authorization: Bearer pa_…"
        )
        answer["WWW-Authenticate"] = "Bearer"
        return answer

    def missing(self, request: HttpRequest, exc: Any) -> HttpResponse:
        """What the path names is not there."""
        return self._answer(request, 404, "There is nothing of this name.")

    def plain(self, request: HttpRequest, exc: Any) -> HttpResponse:
        """A view said so itself."""
        return self._answer(request, exc.status_code, str(exc.message))

    def crashed(self, request: HttpRequest, exc: Any) -> HttpResponse:
        """Our fault; the log has it."""
        _log.error("admin_api_crashed", exc_info=exc)
        return self._answer(request, 500, "Something failed here; see the log.")

    def _answer(
        self,
        request: HttpRequest,
        status: int,
        message: str,
        fields: dict[str, str] | None = None,
        *,
        code: str = "",
    ) -> HttpResponse:
        plain = _CODES.get(status, "failed" if status >= 500 else "refused")
        error: dict[str, Any] = {
            "code": code or plain,
            "message": message,
        }
        if fields:
            error["fields"] = fields
        return self._api.create_response(request, {"error": error}, status=status)
