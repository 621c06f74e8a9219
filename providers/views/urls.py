"""The roof's screens; read from top to bottom it is their site map."""

from __future__ import annotations

from django.urls import path

from providers.views import (
    account_status_urls,
    budget_urls,
    catalogue_urls,
    client_keys,
    cooldown_urls,
    feed_urls,
    kept_urls,
    model_urls,
    overview,
    price_urls,
    probe_urls,
    provider_parts,
    providers,
    request_detail,
    requests,
    routing_urls,
    setup,
)

app_name = "providers"
urlpatterns = [
    path("", overview.overview, name="overview"),
    # First match wins: these know paths that look like a provider's.
    *catalogue_urls.urlpatterns,
    *account_status_urls.urlpatterns,
    *model_urls.urlpatterns,
    *probe_urls.urlpatterns,
    *price_urls.urlpatterns,
    *feed_urls.urlpatterns,
    *kept_urls.urlpatterns,
    *budget_urls.urlpatterns,
    *cooldown_urls.urlpatterns,
    *routing_urls.urlpatterns,
    # /setup/
    path("setup/", setup.account, name="setup"),
    path("setup/provider/", setup.provider, name="setup-provider"),
    path("setup/key/", setup.key, name="setup-key"),
    path("setup/test/", setup.test, name="setup-test"),
    path("setup/test/status/", setup.test_status, name="setup-status"),
    path("setup/test/send/", setup.test_send, name="setup-send"),
    # /providers/
    path("providers/", providers.provider_list, name="provider-list"),
    path("providers/add/", providers.provider_add, name="provider-add"),
    path("providers/<slug:slug>/", providers.provider_detail, name="provider-detail"),
    path("providers/<slug:slug>/edit/", providers.provider_edit, name="provider-edit"),
    path("providers/<slug:slug>/test/", providers.provider_test, name="provider-test"),
    path(
        "providers/<slug:slug>/enable/",
        providers.provider_enable,
        name="provider-enable",
    ),
    path(
        "providers/<slug:slug>/disable/",
        providers.provider_disable,
        name="provider-disable",
    ),
    path(
        "providers/<slug:slug>/remove/",
        providers.provider_remove,
        name="provider-remove",
    ),
    path("providers/<slug:slug>/keys/add/", provider_parts.key_add, name="api-key-add"),
    path(
        "providers/<slug:slug>/keys/<int:pk>/<str:switch>/",
        provider_parts.key_switch,
        name="api-key-switch",
    ),
    path(
        "providers/<slug:slug>/models/add/", provider_parts.model_add, name="model-add"
    ),
    path(
        "providers/<slug:slug>/models/<int:pk>/<str:switch>/",
        provider_parts.model_switch,
        name="model-switch",
    ),
    # /keys/
    path("keys/", client_keys.key_list, name="key-list"),
    path("keys/add/", client_keys.key_add, name="key-add"),
    path("keys/<int:pk>/", client_keys.key_detail, name="key-detail"),
    path("keys/<int:pk>/edit/", client_keys.key_edit, name="key-edit"),
    path("keys/<int:pk>/rotate/", client_keys.key_rotate, name="key-rotate"),
    path("keys/<int:pk>/revoke/", client_keys.key_revoke, name="key-revoke"),
    # /requests/
    path("requests/", requests.request_list, name="request-list"),
    path("requests/<uuid:pk>/", request_detail.request_detail, name="request-detail"),
]
