"""Create people, give them roles, switch them off; the last owner stays."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import QuerySet

from poolsite import audit, version
from poolsite.accounts import OWNER, ROLES, role_of, set_role
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.columns import ColumnError, check_columns, check_time_zone
from poolsite.models import User, Versioned

PREFERENCES: Final = frozenset({"time_zone", "theme", "density", "shortcuts", "name"})
_OWNER: Final = "owner"


class PeopleError(Exception):
    """A change to a person is refused; the message says why and what to do."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


@one_change
def create_user(
    actor: Actor, *, email: str, password: str, role: str, time_zone: str = "UTC"
) -> User:
    """Create a person with a role.

    Errors: PeopleError for a bad address, a weak password, a taken address or an
            unknown role.
    """
    email = email.strip().lower()
    _check_role(role)
    user = User(email=email, time_zone=time_zone)
    _check(user, {"email", "time_zone"})
    try:
        validate_email(email)
    except ValidationError as exc:
        raise PeopleError(f"{email} is not an email address.", field="email") from exc
    if User.objects.filter(email=email).exists():
        raise PeopleError(f"{email} exists already.", field="email")
    _check_password(user, password)
    user = User.objects.create_user(email, password, time_zone=time_zone)
    set_role(user, role)
    audit.record(actor, "user.create", user, after={"email": email, "role": role})
    return user


@one_change
def change_role(actor: Actor, *, user: User, role: str) -> None:
    """Give the person another role.

    Errors: PeopleError for one's own role and for the last owner.
    """
    _check_role(role)
    if actor.user is not None and actor.user.pk == user.pk:
        raise PeopleError("You cannot change your own role; ask another owner.")
    before = _role_now(user)
    if before == OWNER and role != OWNER:
        _keep_one_owner(user)
    set_role(user, role)
    audit.record(
        actor, "user.role", user, before={"role": before}, after={"role": role}
    )


@one_change
def set_active(actor: Actor, *, user: User, active: bool) -> None:
    """Let a person in again, or keep them out; what they own follows within 2 s.

    Errors: PeopleError for oneself and for the last owner.
    """
    if actor.user is not None and actor.user.pk == user.pk:
        raise PeopleError("You cannot switch yourself off.")
    if not active and _role_now(user) == OWNER:
        _keep_one_owner(user)
    user.is_active = active
    user.save(update_fields=["is_active"])
    # Their API tokens and keys stop, so the data plane has to hear of it.
    version.bump(*_owned_by(user))
    audit.record(actor, "user.enable" if active else "user.disable", user)


@one_change
def set_password(actor: Actor, *, user: User, password: str) -> None:
    """Give a person a new password; every browser they are signed in with is out.

    Errors: PeopleError for a weak password.
    """
    _check_password(user, password)
    user.set_password(password)
    user.save(update_fields=["password"])
    audit.record(actor, "user.password", user)


@one_change
def change_preferences(actor: Actor, *, user: User, **values: object) -> None:
    """Save how a person likes the console: zone, theme, density, shortcuts, name.

    Errors: PeopleError naming the field.
    """
    unknown = set(values) - PREFERENCES
    if unknown:
        raise PeopleError(f"Unknown settings: {', '.join(sorted(unknown))}.")
    user.refresh_from_db()
    before = {key: getattr(user, key) for key in values}
    for key, value in values.items():
        setattr(user, key, value)
    _check(user, set(values))
    user.save(update_fields=list(values))
    audit.record(actor, "user.preferences", user, before=before, after=dict(values))


def _check(user: User, names: set[str]) -> None:
    try:
        check_columns(user, sorted(names))
        if "time_zone" in names:
            check_time_zone(user.time_zone)
    except ColumnError as exc:
        raise PeopleError(str(exc), field=exc.field) from exc


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise PeopleError(f"The role must be one of {', '.join(ROLES)}.", field="role")


def _check_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as exc:
        raise PeopleError(" ".join(exc.messages), field="password") from exc


def _role_now(user: User) -> str:
    """Return the role as it is in the database, whatever this object remembers."""
    return role_of(User.objects.get(pk=user.pk))


def _keep_one_owner(leaving: User) -> None:
    others = User.objects.filter(groups__name=OWNER, is_active=True)
    if not others.exclude(pk=leaving.pk).exists():
        raise PeopleError(
            "The last owner stays an owner; make somebody else one first."
        )


def _owned_by(user: User) -> list[Versioned]:
    """Find the configuration rows that name this person as their owner."""
    found: list[Versioned] = []
    for model in apps.get_models():
        if issubclass(model, Versioned) and _OWNER in _columns(model):
            rows: QuerySet[Any] = model._default_manager.all()
            found += rows.filter(**{_OWNER: user.pk})
    return found


def _columns(model: type[Versioned]) -> set[str]:
    return {column.name for column in model._meta.concrete_fields}
