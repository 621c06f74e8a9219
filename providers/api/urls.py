"""The admin API under /api/admin/v1/: routers, error shapes, no cookies."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver
from ninja import NinjaAPI

from providers.api import (
    access,
    account_status,
    alerts,
    bodies,
    catalogue,
    cooldowns,
    errors,
    feeds,
    jobs,
    keys,
    models,
    money,
    pool,
    prices,
    probes,
    providers,
    recalculation,
    reconciliation,
    requests,
    retention,
    routing,
)
from providers.api.auth import TokenAuth

api = NinjaAPI(
    title="Provider Pool admin API",
    version="1",
    urls_namespace="admin-api",
    auth=TokenAuth(),
    docs_url=None,  # the page would load code from elsewhere
)
for module in (
    alerts,
    catalogue,
    account_status,
    models,
    probes,
    jobs,
    prices,
    recalculation,
    reconciliation,
    retention,
    cooldowns,
    feeds,
    providers,
    keys,
    money,
    requests,
    bodies,
    access,
    routing,
    pool,
):
    api.add_router("", module.router)
errors.install(api)


def _token_guarded(pattern: URLPattern | URLResolver) -> URLPattern | URLResolver:
    # The login middleware guards by cookie; here only the token counts.
    if isinstance(pattern, URLPattern):
        pattern.callback = login_not_required(pattern.callback)
    return pattern


_patterns, app_name, _namespace = api.urls
urlpatterns = [_token_guarded(each) for each in _patterns]
