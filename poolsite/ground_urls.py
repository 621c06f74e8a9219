"""Screens of the ground: settings, people, the audit trail."""

from __future__ import annotations

from django.urls import path

from poolsite import job_views, views
from poolsite.ui.preferences import preferences

app_name = "ground"
urlpatterns = [
    # /settings/
    path("settings/", views.settings_page, name="settings"),
    path("settings/secrets/", views.secrets_check, name="secrets-check"),
    path("settings/profile/", views.profile, name="profile"),
    path("settings/tokens/", views.token_create, name="token-create"),
    path("settings/tokens/<int:pk>/revoke/", views.token_revoke, name="token-revoke"),
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
