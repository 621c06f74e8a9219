"""Screens of usage and cost."""

from __future__ import annotations

from django.urls import path

from usage import recalculation_views as recalculation
from usage import views

app_name = "usage"
urlpatterns = [
    path("usage/", views.usage, name="usage"),
    path(
        "pricing/recalculate/",
        recalculation.recalculation_list,
        name="recalculation-list",
    ),
    path(
        "pricing/recalculate/new/",
        recalculation.recalculation_new,
        name="recalculation-new",
    ),
    path(
        "pricing/recalculate/<int:pk>/",
        recalculation.recalculation_detail,
        name="recalculation-detail",
    ),
    path(
        "pricing/recalculate/<int:pk>/apply/",
        recalculation.recalculation_apply,
        name="recalculation-apply",
    ),
    path(
        "pricing/recalculate/<int:pk>/undo/",
        recalculation.recalculation_undo,
        name="recalculation-undo",
    ),
    path(
        "pricing/recalculate/<int:pk>/cancel/",
        recalculation.recalculation_cancel,
        name="recalculation-cancel",
    ),
]
