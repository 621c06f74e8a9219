"""``pool request``: search the log, read a request and its bodies, ask it again."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.exceptions import BadRequest
from django.core.management.base import CommandError

from poolsite.clock import SystemClock
from poolsite.money import format_usd
from providers.management.base import PoolCommand, action
from providers.services import bodies
from providers.services.replay import replay
from providers.services.request_facts import facts, summary
from usage import log, log_find, log_search
from usage.log_search import Search

_MOST = 500


class Command(PoolCommand):
    help = "Search the request log, show a request and its bodies, replay it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        sub = parser.add_subparsers(dest="action", required=True)
        found = action(sub, "list", self.list, "list requests, newest first")
        found.add_argument("words", nargs="*", metavar="WORD", help="status:429 key:ci")
        found.add_argument("--limit", type=int, default=20, metavar="N")
        found.add_argument("--cursor", default="", help="as the last page printed it")
        found.add_argument("--json", action="store_true")
        show = action(sub, "show", self.show, "show every recorded fact of a request")
        show.add_argument("id")
        again = action(sub, "replay", self.replay, "ask again with a body of your own")
        again.add_argument("id")
        again.add_argument("--body-file", required=True, metavar="F")
        look = action(sub, "bodies", self.bodies, "print the prompt and the answer")
        look.add_argument("id")
        look.add_argument("--json", action="store_true")
        gone = action(sub, "forget", self.forget, "remove prompts and answers")
        which = gone.add_mutually_exclusive_group(required=True)
        which.add_argument("id", nargs="?")
        which.add_argument("--all", action="store_true")
        switch = action(sub, "recording", self.recording, "keep bodies or do not")
        switch.add_argument("state", nargs="?", choices=["on", "off"])
        switch.add_argument("--keep-kb", type=int, metavar="N", help="of each side")
        switch.add_argument("--json", action="store_true")

    def list(self, options: dict[str, Any]) -> None:
        if not 1 <= options["limit"] <= _MOST:
            raise CommandError(f"--limit is 1 to {_MOST}.")
        search = _search(options["words"])
        try:
            page = log_find.find(
                search,
                options["cursor"],
                now=SystemClock().now(),
                size=options["limit"],
            )
        except BadRequest as exc:
            raise CommandError(str(exc)) from exc
        rows = [summary(row) for row in log.in_words(page.rows, with_tries=False)]
        if options["json"]:
            self.print_json({"requests": rows, "older": page.older or None})
            return
        self.table([_line(row) for row in rows], as_json=False)
        if page.looked_to is not None:
            self.say(f"Looked at everything back to {page.looked_to.isoformat()}.")
        if page.older:
            self.say(f"More: --cursor {page.older}")

    def show(self, options: dict[str, Any]) -> None:
        found = log.detail(_id(options["id"]))
        if found is None:
            raise CommandError(f"There is no request {options['id']}.")
        self.print_json(facts(found))

    def replay(self, options: dict[str, Any]) -> None:
        path = Path(options["body_file"])
        try:
            body = path.read_bytes()
        except OSError as exc:
            raise CommandError(f"{path} cannot be read: {exc.strerror}.") from exc
        answer = replay(self.actor, _id(options["id"]), body)
        if answer.status is None:
            raise CommandError(answer.body)
        self.stderr.write(f"{answer.status} as request {answer.request_id}")
        self.say(answer.body)
        if answer.status >= 400:
            raise CommandError(f"The pool answered {answer.status}.")

    def bodies(self, options: dict[str, Any]) -> None:
        found = bodies.look_at(self.actor, _id(options["id"]))
        if found is None:
            raise CommandError("Nothing is kept of this request.")
        if options["json"]:
            self.print_json(bodies.as_data(found))
            return
        for name, side in (("Asked", found.asked), ("Answered", found.answered)):
            size = "nothing" if side is None else f"{side.size:,} bytes"
            self.say(f"{name}: {size}{', cut' if side and side.is_cut else ''}")
            if side is not None:
                self.say(side.text)

    def forget(self, options: dict[str, Any]) -> None:
        request_id = None if options["all"] else _id(options["id"])
        count = bodies.forget(self.actor, request_id)
        self.say(f"{count:,} {'request' if count == 1 else 'requests'} forgotten.")

    def recording(self, options: dict[str, Any]) -> None:
        state = options["state"]
        found = bodies.set_recording(
            self.actor,
            is_on=None if state is None else state == "on",
            keep_kb=options["keep_kb"],
        )
        if options["json"]:
            self.print_json({"is_on": found.is_on, "keep_kb": found.keep_kb})
            return
        word = "on" if found.is_on else "off"
        self.say(f"Recording of bodies is {word}, {found.keep_kb} KB of each side.")


def _search(words: list[str]) -> Search:
    """Read each word by itself: the shell has taken the quotation marks away."""
    search = Search()
    for word in words:
        read = log_search.parse(word)
        if len(read.terms) + len(read.problems) > 1:
            name, colon, value = word.partition(":")
            read = log_search.from_pairs([(name, value)]) if colon else read
        if read.problems:
            problem = read.problems[0]
            raise CommandError(f"{problem.word}: {problem.why}.")
        search = log_search.joined(search, read)
    return search


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CommandError(f"{text} is not the id of a request.") from None


def _line(row: dict[str, Any]) -> dict[str, Any]:
    cost = row["cost_nano_usd"]
    return {
        "at": row["at"][:19],
        "id": row["id"],
        "status": row["status"],
        "model": row["model_asked"],
        "provider": row["provider"],
        "key": row["client_key"],
        "ms": row["latency_ms"],
        "cost": "unpriced"
        if row["unpriced"]
        else None
        if cost is None
        else format_usd(cost),
    }
