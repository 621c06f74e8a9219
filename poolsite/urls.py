"""Name the apps' url files: the site map of the console."""

from __future__ import annotations

from django.urls import include, path

from poolsite import views

urlpatterns = [
    path("", include(("providers.views.urls", "providers"))),
    path("", include(("usage.views.urls", "usage"))),
    path("", include(("poolsite.ground_urls", "ground"))),
    path("account/", include("allauth.urls")),
    path("api/admin/v1/", include("providers.api.urls", namespace="admin-api")),
]

handler400 = views.bad_request
handler403 = views.forbidden
handler404 = views.not_found
handler500 = views.server_error
