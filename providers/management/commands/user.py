"""``pool user``: create people without a browser."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

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

    def list(self, options: dict[str, Any]) -> None:
        rows = [
            {"email": user.email, "role": role_of(user), "active": user.is_active}
            for user in User.objects.prefetch_related("groups").order_by("email")
        ]
        self.table(rows, as_json=options["json"])
