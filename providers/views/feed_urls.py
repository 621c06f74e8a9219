"""Screens of the public sources of models and prices."""

from __future__ import annotations

from django.urls import URLPattern, path

from providers.views import feeds

urlpatterns: list[URLPattern] = [
    path("pricing/updates/", feeds.feed_list, name="feed-list"),
    path("pricing/updates/refresh/", feeds.feed_refresh, name="feed-refresh-all"),
    path("pricing/updates/<slug:name>/", feeds.feed_detail, name="feed-detail"),
    path(
        "pricing/updates/<slug:name>/refresh/", feeds.feed_refresh, name="feed-refresh"
    ),
    path("pricing/updates/<slug:name>/set/", feeds.feed_set, name="feed-set"),
    path("pricing/updates/<slug:name>/clear/", feeds.feed_clear, name="feed-clear"),
    path("pricing/updates/<slug:name>/decide/", feeds.feed_decide, name="feed-decide"),
]
