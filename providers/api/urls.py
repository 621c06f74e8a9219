"""The admin API under /api/admin/v1/: routers, error shapes, no cookies."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from ninja import NinjaAPI

from poolsite.people import PeopleError
from pricing.services import PriceError
from providers.api import access, providers
from providers.api.auth import TokenAuth
from providers.services.errors import ServiceError
from usage.services import UsageError

api = NinjaAPI(
    title="Provider Pool admin API",
    version="1",
    urls_namespace="admin-api",
    auth=TokenAuth(),
    docs_url=None,  # the page would load code from elsewhere
)
api.add_router("", providers.router)
api.add_router("", access.router)


def _refused(request: HttpRequest, exc: Exception) -> HttpResponse:
    field = getattr(exc, "field", "")
    body = {"error": {"message": str(exc), "field": field or None}}
    return api.create_response(request, body, status=422)


for refusal in (ServiceError, UsageError, PriceError, PeopleError):
    api.add_exception_handler(refusal, _refused)


def _token_guarded(pattern: URLPattern) -> URLPattern:
    # The login middleware guards by cookie; here only the token counts.
    pattern.callback = login_not_required(pattern.callback)
    return pattern


_patterns, app_name, _namespace = api.urls
urlpatterns = [_token_guarded(each) for each in _patterns]
