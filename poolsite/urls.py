"""Name the apps' url files: the site map of the console."""

from __future__ import annotations

from django.urls import include, path

from poolsite.ui import errors

urlpatterns = [
    path("", include("providers.views.urls")),
    path("", include("usage.urls")),
    path("", include("poolsite.ground_urls")),
    path("accounts/", include("allauth.urls")),
    path("api/admin/v1/", include("providers.api.urls", namespace="admin-api")),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
