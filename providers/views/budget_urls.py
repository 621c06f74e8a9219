"""Screens of budgets, and what a client key used."""

from __future__ import annotations

from django.urls import URLPattern, path

from providers.views import budgets, client_key_use

urlpatterns: list[URLPattern] = [
    path("keys/budgets/", budgets.budget_list, name="budget-list"),
    path("keys/budgets/add/", budgets.budget_add, name="budget-add"),
    path("keys/budgets/<int:pk>/", budgets.budget_edit, name="budget-edit"),
    path(
        "keys/budgets/<int:pk>/increase/",
        budgets.budget_increase,
        name="budget-increase",
    ),
    path("keys/budgets/<int:pk>/remove/", budgets.budget_remove, name="budget-remove"),
    path("keys/preview/", client_key_use.key_preview, name="key-preview"),
    path("keys/<int:pk>/use/", client_key_use.key_use, name="key-use"),
    path("keys/<int:pk>/limits/", client_key_use.key_limits, name="key-limits"),
]
