"""Screens of prices."""

from __future__ import annotations

from django.urls import URLPattern, path

from providers.views import prices

urlpatterns: list[URLPattern] = [
    path("pricing/", prices.price_list, name="price-list"),
    path("pricing/model/", prices.price_detail, name="price-detail"),
    path("pricing/overrides/", prices.override_list, name="price-overrides"),
    path("pricing/overrides/add/", prices.price_set, name="price-set"),
    path("pricing/overrides/<int:pk>/", prices.price_edit, name="price-edit"),
    path(
        "pricing/overrides/<int:pk>/remove/", prices.price_remove, name="price-remove"
    ),
]
