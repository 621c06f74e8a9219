"""Screens of the ground: settings, people, the audit trail."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from poolsite import people, rotation, tokens, version
from poolsite.accounts import OWNER, ROLES, VIEWER, role_of
from poolsite.actor import Actor, person
from poolsite.env import VARIABLES
from poolsite.forms import ProfileForm, RoleForm, TokenForm, UserForm
from poolsite.models import ApiToken, AuditEvent, Node, User
from poolsite.ui import access, keyset
from poolsite.ui.render import (
    Confirmation,
    confirm,
    refused,
    render,
    saved,
    show_once,
)

_FORM = require_http_methods(["GET", "POST"])


def actor_of(request: HttpRequest) -> Actor:
    """Return the signed-in person as the actor of a change."""
    ip = request.META.get("REMOTE_ADDR", "") or ""
    user = request.user
    if not isinstance(user, User):  # the login middleware lets nobody else through
        raise TypeError("Nobody is signed in.")
    return person(user, ip=ip)


# Pages


@require_GET
def settings_page(request: HttpRequest) -> HttpResponse:
    """Show what this installation is and how it is set."""
    return render(request, "poolsite/settings/page.html", _settings_context(request))


@require_GET
def secrets_check(request: HttpRequest) -> HttpResponse:
    """Count stored secrets this server cannot read; two queries a kind of secret.

    The settings page loads it beside itself, because it grows with the kinds.
    """
    unreadable = sum(rotation.check_keys().unreadable.values())
    return render(
        request,
        "poolsite/settings/secrets.html",
        {"unreadable": unreadable},
        piece="poolsite/settings/_secrets.html",
    )


@_FORM
@access.open_to_viewers
def profile(request: HttpRequest) -> HttpResponse:
    """Change how one likes the console."""
    user = actor_of(request).user
    names = ("name", "time_zone", "theme", "density", "shortcuts")
    form = ProfileForm(
        request.POST or None, initial={name: getattr(user, name) for name in names}
    )
    if form.is_valid() and user is not None:
        people.change_preferences(actor_of(request), user=user, **form.cleaned_data)
        return saved(request, "ground:profile", "Saved.")
    return render(request, "poolsite/settings/profile.html", {"form": form})


@require_GET
def user_list(request: HttpRequest) -> HttpResponse:
    """List people; owners may change them."""
    return render(request, "poolsite/users/page.html", _users_context(request))


@require_GET
def audit_list(request: HttpRequest) -> HttpResponse:
    """Show who did what, newest first."""
    rows = AuditEvent.objects.all()
    wanted = {name: request.GET.get(name, "").strip() for name in ("actor", "action")}
    if wanted["actor"]:
        rows = rows.filter(actor_label__icontains=wanted["actor"])
    if wanted["action"]:
        rows = rows.filter(action__startswith=wanted["action"])
    context = {
        "events": keyset.paginate(rows, request.GET.get("cursor", ""), key=("id",)),
        "wanted": wanted,
        "is_filtered": any(wanted.values()),
    }
    return render(
        request,
        "poolsite/audit/page.html",
        context,
        piece="poolsite/audit/_rows.html",
    )


# Actions


@_FORM
@access.require_role(OWNER)
def user_add(request: HttpRequest) -> HttpResponse:
    """Create a person."""
    form = UserForm(request.POST or None)
    if form.is_valid():
        try:
            user = people.create_user(actor_of(request), **form.cleaned_data)
        except people.PeopleError as exc:
            form.add_error(None, str(exc))
        else:
            return saved(request, "ground:user-list", f"{user.email} was added.")
    return render(request, "poolsite/users/add.html", {"form": form})


@require_POST
@access.require_role(OWNER)
def user_role(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a person another role."""
    user = access.find(User, "person", pk=pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return refused(request, "ground:user-list", "Choose one of the roles.")
    try:
        people.change_role(actor_of(request), user=user, role=form.cleaned_data["role"])
    except people.PeopleError as exc:
        return refused(request, "ground:user-list", str(exc))
    return saved(request, "ground:user-list", f"{user.email} has a new role.")


@require_POST
@access.require_role(OWNER)
def user_enable(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a person in again."""
    return _switch(request, pk, active=True)


@_FORM
@access.require_role(OWNER)
def user_disable(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep a person out."""
    user = access.find(User, "person", pk=pk)
    question = Confirmation(
        title=f"Switch {user.email} off?",
        verb="Switch off",
        back=reverse("ground:user-list"),
        text="They are signed out and cannot sign in. Client keys they own go on working.",
    )
    if request.method == "GET":
        return confirm(request, question)
    return _switch(request, pk, active=False)


@_FORM
@access.require_role(OWNER)
def token_create(request: HttpRequest) -> HttpResponse:
    """Create an API token and show it, once."""
    form = TokenForm(request.POST or None)
    actor = actor_of(request)
    if form.is_valid() and actor.user is not None:
        token, text = tokens.create_token(actor, user=actor.user, **form.cleaned_data)
        context = {"token": token, "secret": text}
        return show_once(request, "poolsite/settings/token_created.html", context)
    return render(request, "poolsite/settings/token.html", {"form": form})


@_FORM
@access.require_role(OWNER)
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke an API token."""
    token = access.find(ApiToken, "API token", pk=pk, revoked_at=None)
    question = Confirmation(
        title=f"Revoke {token.name}?",
        verb="Revoke token",
        back=reverse("ground:settings"),
        text="Whatever uses it is refused at once.",
    )
    if request.method == "GET":
        return confirm(request, question)
    tokens.revoke_token(actor_of(request), token)
    return saved(request, "ground:settings", f"{token.name} was revoked.")


# Private helpers


def _switch(request: HttpRequest, pk: int, *, active: bool) -> HttpResponse:
    user = access.find(User, "person", pk=pk)
    try:
        people.set_active(actor_of(request), user=user, active=active)
    except people.PeopleError as exc:
        return refused(request, "ground:user-list", str(exc))
    word = "may sign in again" if active else "is switched off"
    return saved(request, "ground:user-list", f"{user.email} {word}.")


def _users_context(request: HttpRequest) -> dict[str, Any]:
    rows = User.objects.prefetch_related("groups").order_by("email")
    listed = []
    for user in rows:
        names = {group.name for group in user.groups.all()}
        role = next((role for role in ROLES if role in names), VIEWER)
        listed.append({"user": user, "role": role, "is_me": user == request.user})
    return {"people": listed, "roles": ROLES}


def _settings_context(request: HttpRequest) -> dict[str, Any]:
    config = settings.CONFIG
    return {
        "facts": [
            ("Public URL", config.effective_public_url),
            ("Data directory", str(settings.DATA_DIR)),
            ("Database", connection.vendor),
            ("Redis", "in use" if config.redis_url else "not configured"),
            ("Journal durability", config.durability),
            ("Limits", config.limits),
            ("Configuration version", version.current()),
        ],
        "is_https": settings.IS_HTTPS,
        "nodes": Node.objects.order_by("name"),
        "tokens": ApiToken.objects.filter(revoked_at=None).select_related("user"),
        "variables": [(name, text) for name, (_, _, text) in VARIABLES.items()],
        "my_role": role_of(request.user) if isinstance(request.user, User) else VIEWER,
    }
