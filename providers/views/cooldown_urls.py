"""Screens of cooldowns and health."""

from __future__ import annotations

from django.urls import URLPattern, path

from providers.views import cooldowns

urlpatterns: list[URLPattern] = [
    path("routing/cooldowns/", cooldowns.cooldown_list, name="cooldown-list"),
    path("routing/cooldowns/clear/", cooldowns.cooldown_clear, name="cooldown-clear"),
    path(
        "routing/cooldowns/clear-all/",
        cooldowns.cooldown_clear_all,
        name="cooldown-clear-all",
    ),
    path("routing/health/", cooldowns.health_list, name="health-list"),
]
