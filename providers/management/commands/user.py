"""``pool user``: create people without a browser."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from poolsite import people
from poolsite.accounts import OWNER, ROLES, role_of
from poolsite.models import User
from providers.management.base import PoolCommand, action, read_secret


class Command(PoolCommand):
    help = "Manage people who may open the console."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        create = action(sub, "create", self.create, "create; the password on stdin")
        create.add_argument("email")
        create.add_argument("--role", choices=ROLES, default=OWNER)
        for name, handler, text in (
            ("password", self.password, "give a new password, from stdin"),
            ("enable", self.enable, "let a person in again"),
            ("disable", self.disable, "keep a person out"),
        ):
            action(sub, name, handler, text).add_argument("email")
        change = action(sub, "role", self.role, "give a person another role")
        change.add_argument("email")
        change.add_argument("role", choices=ROLES)
        listing = action(sub, "list", self.list, "list people")
        listing.add_argument("--json", action="store_true")

    def create(self, options: dict[str, Any]) -> None:
        user = people.create_user(
            self.actor,
            email=options["email"],
            password=read_secret("password"),
            role=options["role"],
        )
        self.say(f"Created {user.email} as {options['role']}.")

    def password(self, options: dict[str, Any]) -> None:
        user = _user(options["email"])
        people.set_password(self.actor, user=user, password=read_secret("password"))
        self.say(f"{user.email} has a new password.")

    def enable(self, options: dict[str, Any]) -> None:
        user = _user(options["email"])
        people.set_active(self.actor, user=user, active=True)
        self.say(f"{user.email} may sign in.")

    def disable(self, options: dict[str, Any]) -> None:
        user = _user(options["email"])
        people.set_active(self.actor, user=user, active=False)
        self.say(f"{user.email} is kept out.")

    def role(self, options: dict[str, Any]) -> None:
        user = _user(options["email"])
        people.change_role(self.actor, user=user, role=options["role"])
        self.say(f"{user.email} is {options['role']}.")

    def list(self, options: dict[str, Any]) -> None:
        rows = [
            {"email": user.email, "role": role_of(user), "active": user.is_active}
            for user in User.objects.prefetch_related("groups").order_by("email")
        ]
        self.table(rows, as_json=options["json"])


def _user(email: str) -> User:
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        raise CommandError(f"There is no person {email}.")
    return user
