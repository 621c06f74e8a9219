"""Screens of usage and cost."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "usage"
urlpatterns: list[URLPattern] = []
