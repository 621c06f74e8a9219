"""Screens of usage and cost."""

from __future__ import annotations

from django.urls import path

from usage import dashboard_views as dashboards
from usage import recalculation_views as recalculation
from usage import reconciliation_views as reconciliation
from usage import views

app_name = "usage"
urlpatterns = [
    path("usage/", views.usage, name="usage"),
    path("usage/now/", dashboards.now, name="now"),
    path("usage/difference/", dashboards.bill_difference, name="difference"),
    path("usage/sessions/", dashboards.session_list, name="session-list"),
    path("usage/session/", dashboards.session_detail, name="session-detail"),
    path("usage/rebuild/", dashboards.rollup_rebuild, name="rollup-rebuild"),
    path("usage/views/", dashboards.view_list, name="view-list"),
    path("usage/views/save/", dashboards.view_save, name="view-save"),
    path("usage/views/<int:pk>/", dashboards.view_open, name="view-open"),
    path("usage/views/<int:pk>/rename/", dashboards.view_rename, name="view-rename"),
    path("usage/views/<int:pk>/delete/", dashboards.view_delete, name="view-delete"),
    path("usage/exports/", dashboards.export_list, name="export-list"),
    path("usage/exports/start/", dashboards.export_start, name="export-start"),
    path("usage/exports/<int:pk>/", dashboards.export_download, name="export-download"),
    path(
        "usage/exports/<int:pk>/delete/", dashboards.export_delete, name="export-delete"
    ),
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
    path("usage/reconciliation/", reconciliation.statement_list, name="statement-list"),
    path(
        "usage/reconciliation/new/", reconciliation.statement_new, name="statement-new"
    ),
    path(
        "usage/reconciliation/<int:pk>/",
        reconciliation.statement_detail,
        name="statement-detail",
    ),
    path(
        "usage/reconciliation/<int:pk>/lines.csv",
        reconciliation.statement_csv,
        name="statement-csv",
    ),
    path(
        "usage/reconciliation/<int:pk>/compare/",
        reconciliation.statement_compare,
        name="statement-compare",
    ),
    path(
        "usage/reconciliation/<int:pk>/delete/",
        reconciliation.statement_delete,
        name="statement-delete",
    ),
]
