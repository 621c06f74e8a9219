"""Create people, give them roles, switch them off; the last owner stays."""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from poolsite import audit
from poolsite.accounts import OWNER, ROLES, role_of, set_role
from poolsite.actor import Actor
from poolsite.models import User


class PeopleError(Exception):
    """A change to a person is refused; the message says why and what to do."""


@transaction.atomic
def create_user(
    actor: Actor, *, email: str, password: str, role: str, time_zone: str = "UTC"
) -> User:
    """Create a person with a role.

    Errors: PeopleError for a bad address, a weak password, a taken address or an
            unknown role.
    """
    email = email.strip().lower()
    if role not in ROLES:
        raise PeopleError(f"The role must be one of {', '.join(ROLES)}.")
    if User.objects.filter(email=email).exists():
        raise PeopleError(f"{email} exists already.")
    try:
        validate_email(email)
        validate_password(password, User(email=email))
    except ValidationError as exc:
        raise PeopleError(" ".join(exc.messages)) from exc
    user = User.objects.create_user(email, password, time_zone=time_zone)
    set_role(user, role)
    audit.record(actor, "user.create", user, after={"email": email, "role": role})
    return user


@transaction.atomic
def change_role(actor: Actor, *, user: User, role: str) -> None:
    """Give the person another role.

    Errors: PeopleError for one's own role and for the last owner.
    """
    before = role_of(user)
    if actor.user is not None and actor.user.pk == user.pk:
        raise PeopleError("You cannot change your own role; ask another owner.")
    if before == OWNER and role != OWNER:
        _keep_one_owner(user)
    if role not in ROLES:
        raise PeopleError(f"The role must be one of {', '.join(ROLES)}.")
    set_role(user, role)
    audit.record(
        actor, "user.role", user, before={"role": before}, after={"role": role}
    )


@transaction.atomic
def set_active(actor: Actor, *, user: User, active: bool) -> None:
    """Let a person in again, or keep them out.

    Errors: PeopleError for oneself and for the last owner.
    """
    if actor.user is not None and actor.user.pk == user.pk:
        raise PeopleError("You cannot switch yourself off.")
    if not active and role_of(user) == OWNER:
        _keep_one_owner(user)
    user.is_active = active
    user.save(update_fields=["is_active"])
    verb = "user.enable" if active else "user.disable"
    audit.record(actor, verb, user)


@transaction.atomic
def change_preferences(actor: Actor, *, user: User, **values: object) -> None:
    """Save how a person likes the console: zone, theme, density, shortcuts, name."""
    allowed = {"time_zone", "theme", "density", "shortcuts", "name"}
    changed = {key: value for key, value in values.items() if key in allowed}
    before = {key: getattr(user, key) for key in changed}
    for key, value in changed.items():
        setattr(user, key, value)
    user.save(update_fields=list(changed))
    audit.record(actor, "user.preferences", user, before=before, after=changed)


def _keep_one_owner(leaving: User) -> None:
    others = User.objects.filter(groups__name=OWNER, is_active=True)
    if not others.exclude(pk=leaving.pk).exists():
        raise PeopleError(
            "The last owner stays an owner; make somebody else one first."
        )
