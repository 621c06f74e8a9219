"""Screens of the public sources of models and prices."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
