"""A small site that uses the whole ui kit, for the tests and for looking at it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.utils import timezone

from poolsite.models import User
from poolsite.ui import access, errors, pills
from poolsite.ui import forms as kit
from poolsite.ui.charts import Part, columns, series_tone
from poolsite.ui.keyset import Page
from poolsite.ui.preferences import preferences
from poolsite.ui.render import (
    Confirmation,
    confirm,
    is_confirmed,
    render,
    saved,
    show_once,
    stop_polling,
    unchanged,
)

app_name = "ground"


class ProviderForm(forms.Form):
    name = forms.CharField(max_length=40, help_text="Shown in lists and in the log.")
    base_url = forms.URLField(
        label="Base URL", help_text="Where its API lives.", assume_scheme="https"
    )
    api_key = kit.SecretField(label="API key", stored="sk-…a1b2")
    region = forms.ChoiceField(choices=[("eu", "Europe"), ("us", "United States")])
    access = forms.ChoiceField(
        choices=[("all", "All models"), ("some", "Only these"), ("none", "None")],
        widget=forms.RadioSelect,
        initial="all",
    )
    enabled = forms.BooleanField(
        required=False, initial=True, help_text="Requests may go there."
    )
    notes = forms.CharField(required=False, widget=forms.Textarea)


def shares() -> list[Part]:
    names = ("Anthropic", "OpenAI", "Groq", "DeepSeek", "Local")
    values = (48.2, 21.7, 9.4, 3.3, 1.2)
    return [
        Part(name, value, series_tone(index), f"${value:.2f}")
        for index, (name, value) in enumerate(zip(names, values, strict=True))
    ]


def showcase() -> dict[str, Any]:
    """Everything the style guide shows; the figures are invented."""
    now = timezone.now()
    curve = [3, 4, 4, 6, 5, 8, 7, 9, 12, 9, 8, 11, 14, 12, 15, 13, 17, 16]
    stacks = [
        [
            Part("Anthropic", 3 + (day * 7 % 5), "1", "$3"),
            Part("OpenAI", 1 + (day * 3 % 4), "2", "$1"),
            Part("Groq", (day * 5 % 3) / 2, "3", "$0.5"),
        ]
        for day in range(24)
    ]
    return {
        "states": [(state, None) for state in pills.STATES],
        "soon": now + timedelta(minutes=12),
        "reset": now + timedelta(hours=2, minutes=10),
        "earlier": now - timedelta(minutes=3),
        "long_ago": now - timedelta(days=40),
        "curve": curve,
        "gaps": [3, 5, None, None, 4, 7, 6, None, 8],
        "shares": shares(),
        "columns": columns(
            stacks,
            [f"{hour:02d}:00" for hour in range(24)],
            "Spend per hour, highest at 14:00",
            ticks=[(5, "$5"), (10, "$10")],
        ),
        "snippets": [
            (
                "curl",
                'curl $POOL_URL/v1/chat/completions \\\n  -H "Authorization: Bearer $POOL_KEY"',
            ),
            ("Python", 'client = OpenAI(base_url="http://localhost:8080/v1")'),
            ("Claude Code", "export ANTHROPIC_BASE_URL=http://localhost:8080"),
        ],
        "secret": "pp_ab12cd34_" + "x4Kq9" * 9 + "wxyz",
        "page": Page([1], newer="abc", older="def"),
        "providers": [
            ("Anthropic", "healthy", "5", 41, 18211, 0.002, 412, 48_211_000_000, 0.44),
            ("OpenAI", "cooling", "3", 64, 9120, 0.031, 388, 21_700_000_000, 0.83),
            (
                "Groq Cloud",
                "rate_limited",
                "1",
                12,
                4410,
                0.12,
                96,
                9_400_000_000,
                1.02,
            ),
            ("DeepSeek", "out_of_quota", "2", 4, 1204, 0.0, 731, 3_300_000_000, None),
            ("Local Ollama", "untested", "0", 7, 0, None, None, None, None),
        ],
        "form": ProviderForm(),
        "crumbs": [("Design", "/"), ("Style guide", "")],
    }


def guide(request: HttpRequest) -> HttpResponse:
    return render(request, "styleguide.html", showcase(), piece="_piece.html")


def edit(request: HttpRequest) -> HttpResponse:
    form = ProviderForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return saved(request, "ground:guide", "Provider saved")
    return render(request, "formpage.html", {"form": form}, piece="ui/form.html")


@access.require_role(access.OWNER)
def owners_only(request: HttpRequest) -> HttpResponse:
    return HttpResponse("owner")


def change(request: HttpRequest) -> HttpResponse:
    return HttpResponse("changed")


def delete(request: HttpRequest) -> HttpResponse:
    question = Confirmation(
        "Delete Anthropic?",
        "Delete provider",
        "/",
        text="Its usage and its bills stay.",
        consequences=("3 routing rules refer to it.", "2 client keys lose 41 models."),
        type_name="anthropic",
    )
    if is_confirmed(request, question):
        return saved(request, "/", "Deleted")
    return confirm(request, question)


def once(request: HttpRequest) -> HttpResponse:
    return show_once(request, "once.html", {"secret": "pp_ab12cd34_secret"})


def poll(request: HttpRequest) -> HttpResponse:
    return unchanged(request, 7) or (
        stop_polling(HttpResponse("new"))
        if request.headers.get("HX-Request")
        else HttpResponse("page")
    )


def person(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse(access.find(User, "person", pk=pk).email)


screens = [
    path("", guide, name="guide"),
    path("edit/", edit, name="edit"),
    path("owners/", owners_only, name="owners"),
    path("change/", change, name="change"),
    path("delete/", delete, name="delete"),
    path("once/", once),
    path("poll/", poll),
    path("person/<int:pk>/", person),
    path("audit/", guide, name="audit-list"),
    path("settings/", guide, name="settings"),
    path("users/", guide, name="user-list"),
    path("preferences/", preferences, name="preferences"),
]
roof = [
    path("overview/", guide, name="overview"),
    path("providers/", guide, name="provider-list"),
    path("models/", guide, name="model-list"),
    path("keys/", guide, name="key-list"),
    path("requests/", guide, name="request-list"),
    path("pricing/", guide, name="price-list"),
]
urlpatterns = [
    path("", include((screens, "ground"))),
    path("", include((roof, "providers"))),
    path("account/", include("allauth.urls")),
]
handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
