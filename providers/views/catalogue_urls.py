"""Screens of the catalogue, its tiles and the way to add a provider."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
