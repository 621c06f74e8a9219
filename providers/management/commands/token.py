"""``pool token``: API tokens for the admin API and the metrics."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from poolsite import tokens
from poolsite.models import ApiToken, User
from providers.management.base import PoolCommand, action


class Command(PoolCommand):
    help = "Manage API tokens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        create = action(sub, "create", self.create, "create a token and print it, once")
        create.add_argument("name")
        create.add_argument("--email", required=True, help="the person it acts for")
        create.add_argument(
            "--scope", choices=tokens.SCOPES, nargs="+", default=[tokens.READ]
        )
        listing = action(sub, "list", self.list, "list live tokens")
        listing.add_argument("--json", action="store_true")
        revoke = action(sub, "revoke", self.revoke, "revoke a token")
        revoke.add_argument("name")
        revoke.add_argument("--email", default="", help="whose, if several have one")

    def create(self, options: dict[str, Any]) -> None:
        user = User.objects.filter(email=options["email"].lower()).first()
        if user is None:
            raise CommandError(f"There is no person {options['email']}.")
        _, text = tokens.create_token(
            self.actor, user=user, name=options["name"], scopes=options["scope"]
        )
        self.say(text)

    def list(self, options: dict[str, Any]) -> None:
        rows = ApiToken.objects.filter(revoked_at=None).select_related("user")
        table = [
            {
                "name": row.name,
                "person": row.user.email,
                "scopes": ",".join(row.scopes),
                "expires_at": row.expires_at.isoformat() if row.expires_at else None,
            }
            for row in rows.order_by("name")
        ]
        self.table(table, as_json=options["json"])

    def revoke(self, options: dict[str, Any]) -> None:
        rows = ApiToken.objects.filter(name=options["name"], revoked_at=None)
        if options["email"]:
            rows = rows.filter(user__email=options["email"].lower())
        found = list(rows[:2])
        if not found:
            raise CommandError(f"There is no token {options['name']}.")
        if len(found) > 1:
            raise CommandError(
                f"Several people have a token {options['name']}: name one with --email."
            )
        [row] = found
        tokens.revoke_token(self.actor, row)
        self.say(f"Revoked {row.name}.")
