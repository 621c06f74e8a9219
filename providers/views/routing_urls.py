"""Screens of routing: settings, rules, the draft, the history, aliases, the simulator."""

from __future__ import annotations

from django.urls import URLPattern, path

from providers.views import routing, routing_aliases, routing_draft, routing_simulator

urlpatterns: list[URLPattern] = [
    path("routing/", routing.routing_page, name="routing"),
    path("routing/settings/", routing.settings_edit, name="routing-settings"),
    path("routing/default-model/", routing.default_model, name="routing-default"),
    path("routing/simulate/", routing_simulator.simulate, name="routing-simulate"),
    path("routing/rules/add/", routing.rule_add, name="rule-add"),
    path("routing/rules/move/", routing.rule_move, name="rule-move"),
    path("routing/rules/<int:place>/", routing.rule_edit, name="rule-edit"),
    path("routing/rules/<int:place>/remove/", routing.rule_remove, name="rule-remove"),
    path(
        "routing/rules/<int:place>/<str:switch>/",
        routing.rule_switch,
        name="rule-switch",
    ),
    path("routing/draft/", routing_draft.draft, name="routing-draft"),
    path("routing/draft/replay/", routing_draft.replay, name="routing-replay"),
    path("routing/draft/publish/", routing_draft.publish, name="routing-publish"),
    path("routing/draft/discard/", routing_draft.discard, name="routing-discard"),
    path("routing/history/", routing_draft.history, name="routing-history"),
    path(
        "routing/history/<int:number>/", routing_draft.revision, name="routing-revision"
    ),
    path(
        "routing/history/<int:number>/revert/",
        routing_draft.revert,
        name="routing-revert",
    ),
    path("routing/aliases/", routing_aliases.alias_list, name="alias-list"),
    path("routing/aliases/add/", routing_aliases.alias_add, name="alias-add"),
    path("routing/aliases/<int:pk>/", routing_aliases.alias_edit, name="alias-edit"),
    path(
        "routing/aliases/<int:pk>/remove/",
        routing_aliases.alias_remove,
        name="alias-remove",
    ),
]
