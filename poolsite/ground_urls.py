"""Screens of the ground: settings, people, the audit trail."""

from __future__ import annotations

from django.urls import path, re_path

from poolsite import alert_views, job_views, views
from poolsite.ui.preferences import preferences

app_name = "ground"
urlpatterns = [
    # /settings/
    path("settings/", views.settings_page, name="settings"),
    path("settings/secrets/", views.secrets_check, name="secrets-check"),
    path("settings/profile/", views.profile, name="profile"),
    path("settings/tokens/", views.token_create, name="token-create"),
    path("settings/tokens/<int:pk>/revoke/", views.token_revoke, name="token-revoke"),
    # /settings/alerts/
    path("settings/alerts/", alert_views.alert_page, name="alerts"),
    path("settings/alerts/send/", alert_views.send_now, name="alert-send"),
    path(
        "settings/alerts/<int:pk>/resolve/",
        alert_views.alert_resolve,
        name="alert-resolve",
    ),
    path(
        "settings/alerts/<int:pk>/acknowledge/",
        alert_views.alert_acknowledge,
        name="alert-acknowledge",
    ),
    path(
        "settings/alerts/channels/add/<slug:kind>/",
        alert_views.channel_add,
        name="channel-add",
    ),
    path(
        "settings/alerts/channels/<int:pk>/",
        alert_views.channel_edit,
        name="channel-edit",
    ),
    path(
        "settings/alerts/channels/<int:pk>/remove/",
        alert_views.channel_remove,
        name="channel-remove",
    ),
    path(
        "settings/alerts/channels/<int:pk>/secret/",
        alert_views.channel_secret,
        name="channel-secret",
    ),
    path(
        "settings/alerts/channels/<int:pk>/test/",
        alert_views.channel_test,
        name="channel-test",
    ),
    re_path(
        r"^settings/alerts/channels/(?P<pk>[0-9]+)/(?P<switch>enable|disable)/$",
        alert_views.channel_switch,
        name="channel-switch",
    ),
    path("preferences/", preferences, name="preferences"),
    # /users/
    path("users/", views.user_list, name="user-list"),
    path("users/add/", views.user_add, name="user-add"),
    path("users/<int:pk>/role/", views.user_role, name="user-role"),
    path("users/<int:pk>/enable/", views.user_enable, name="user-enable"),
    path("users/<int:pk>/disable/", views.user_disable, name="user-disable"),
    # /jobs/
    path("jobs/<int:pk>/", job_views.job_detail, name="job"),
    path("jobs/<int:pk>/events/", job_views.job_events, name="job-events"),
    path("jobs/<int:pk>/cancel/", job_views.job_cancel, name="job-cancel"),
    # /audit/
    path("audit/", views.audit_list, name="audit-list"),
]
