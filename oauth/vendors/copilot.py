"""GitHub Copilot: a device code at GitHub, whose token is exchanged again and again.

What stays is GitHub's token; it never expires and is what a refresh starts from. The
token for the models lives minutes and names the host that serves them. A company's own
GitHub serves with its token directly.

Source: reference seeds 8.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from oauth.vendors import answers, tokenfiles
from oauth.vendors.base import (
    DONE,
    Ask,
    Grant,
    Knob,
    Method,
    Progress,
    Reply,
    Serving,
    VendorSettings,
)
from oauth.vendors.standard import Standard, Step

_PUBLIC: Final = "github.com"
_PUBLIC_CLIENT: Final = "Iv1.b507a08c87ecfe98"
_COMPANY_CLIENT: Final = "Ov23li8tweQw6odWQebz"
_LIFE_S: Final = 25 * 60
_GITHUB_PREFIXES: Final = ("gho_", "ghu_", "ghp_", "github_pat_")
_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403
_PLANS: Final = (
    ("enterprise", "Enterprise"),
    ("business", "Business"),
    ("pro_plus", "Pro+"),
    ("individual", "Pro"),
)
_EDITOR: Final = {
    "editor-version": "vscode/1.104.1",
    "editor-plugin-version": "copilot-chat/0.38.0",
    "user-agent": "GitHubCopilotChat/0.38.0",
    "x-github-api-version": "2025-04-01",
}


class Copilot(Standard):
    """Sign-ins for GitHub Copilot."""

    id = "copilot"
    name = "GitHub Copilot"
    catalogue_ids = ("github-copilot",)
    methods: tuple[Method, ...] = ("device", "import")
    lead_s = 120
    knobs = (
        Knob(name="domain", default=_PUBLIC),
        Knob(name="client_id"),
        Knob(name="scope", default="read:user"),
        Knob(name="web_url"),
        Knob(name="api_url"),
        Knob(name="copilot_url"),
    )

    def steps(self) -> Mapping[str, Step]:
        """Return the steps by name."""
        return {
            **super().steps(),
            "user": Step(self._user_ask, self._user_read),
            "emails": Step(self._emails_ask, self._emails_read),
            "copilot": Step(self._copilot_ask, self._copilot_read),
        }

    def device_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        """Ask for a code to type elsewhere."""
        return super().device_ask(_with_client(settings), progress)

    def poll_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        """Ask whether the code was typed."""
        return super().poll_ask(_with_client(settings), progress)

    def device_url(self, settings: VendorSettings, progress: Progress) -> str:
        """Return where device codes come from."""
        return f"{_web(settings)}/login/device/code"

    def token_url(self, settings: VendorSettings, progress: Progress) -> str:
        """Return where a typed code becomes GitHub's token."""
        return f"{_web(settings)}/login/oauth/access_token"

    def granted(
        self, settings: VendorSettings, progress: Progress, grant: Grant
    ) -> Progress:
        """Ask who signed in, then for the token of the models."""
        return Progress(step="user", grant=grant)

    def refresh(
        self, settings: VendorSettings, refresh_token: str, extra: Mapping[str, Any]
    ) -> Ask:
        """Return the exchange of GitHub's token."""
        headers = {
            **_EDITOR,
            "accept": "application/json",
            "authorization": f"token {refresh_token}",
        }
        url = f"{_api(settings)}/copilot_internal/v2/token"
        return Ask(method="GET", url=url, headers=headers)

    def read_grant(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now_s: float
    ) -> Grant:
        """Read the exchange; what it is made from stays as it is.

        Errors: TokenRefusedError: 401 is a revoked sign-in, 403 no subscription.
        """
        data = answers.parse(body)
        if status == _UNAUTHORIZED:
            raise answers.refused("invalid_grant", is_final=True)
        if status == _FORBIDDEN and data:
            raise answers.refused("no_subscription", is_final=True)
        access = answers.token(data.get("token"))
        if status != _OK or not access:
            raise answers.refusal(status, headers, data, now_s=now_s)
        endpoint = _endpoint(answers.part(data, "endpoints").get("api"))
        return Grant(
            access_token=access,
            expires_in_s=_life_s(data, now_s),
            plan=plan_of(access),
            extra={"endpoint": endpoint} if endpoint else {},
        )

    def read_import(self, text: str, *, now_s: float) -> Grant:
        """Read GitHub's token from hosts.json, apps.json or a bare paste.

        Shapes: the token for the models is asked for by the first refresh, which
            ``expires_in_s`` 0 makes due.
        """
        if not tokenfiles.is_file(text):
            found = tokenfiles.bare(text, prefixes=_GITHUB_PREFIXES)
            return _to_exchange(found, "")
        for name, row in tokenfiles.load(text).items():
            if name.partition(":")[0] == _PUBLIC and isinstance(row, dict):
                found = answers.token(row.get("oauth_token"))
                if found:
                    return _to_exchange(found, answers.text(row.get("user")))
        raise tokenfiles.broken("There is no token for github.com in this file.")

    def serving(self, settings: VendorSettings, extra: Mapping[str, Any]) -> Serving:
        """Return the host the exchange named; the envelope adds the headers."""
        return Serving(base_url=str(extra.get("endpoint") or _copilot(settings)))

    def _user_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        return _github_ask(settings, progress, "/user")

    def _user_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        data = answers.parse(reply.body)
        number = answers.whole(data.get("id"), most=10**15)
        label = answers.text(data.get("email"))
        values = {"login": answers.text(data.get("login"))}
        grant = _known(progress)
        grant = replace(
            grant, label=label, subject="" if number is None else str(number)
        )
        step = "copilot" if label else "emails"
        return Progress(step=step, values=values, grant=grant)

    def _emails_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        return _github_ask(settings, progress, "/user/emails")

    def _emails_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        # A token without the scope gets 404 here; the login will do then.
        rows = answers.parse(b'{"rows":%s}' % (reply.body or b"[]")).get("rows")
        rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []  # fmt: skip
        rows.sort(key=lambda row: row.get("primary") is not True)
        email = answers.text(rows[0].get("email")) if rows else ""
        label = email or progress.values["login"]
        grant = replace(_known(progress), label=label)
        return Progress(step="copilot", values=progress.values, grant=grant)

    def _copilot_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        if _is_company(settings):
            return _github_ask(settings, progress, "/user")
        return self.refresh(settings, _known(progress).access_token, {})

    def _copilot_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        ours = _known(progress)
        if _is_company(settings):
            if reply.status != _OK:
                raise answers.refusal(reply.status, reply.headers, {}, now_s=now_s)
            extra = {"endpoint": _copilot(settings)}
            return Progress(step=DONE, grant=replace(ours, extra=extra))
        fresh = self.read_grant(reply.status, reply.headers, reply.body, now_s=now_s)
        grant = replace(
            fresh,
            refresh_token=ours.access_token,
            scopes=ours.scopes,
            subject=ours.subject,
            label=ours.label,
        )
        return Progress(step=DONE, grant=grant)


def plan_of(token: str) -> str:
    """Return the plan a token for the models names in its text."""
    fields = dict(
        pair for each in token.split(";") if len(pair := each.split("=", 1)) > 1
    )
    sku = fields.get("sku", "")
    for word, name in _PLANS:
        if word in sku:
            return name
    if sku == "copilot_pro":
        return "Pro"
    if not sku or "free" in sku or "educational" in sku:
        return "Free"
    return answers.text(sku, 60)


def _life_s(data: Mapping[str, Any], now_s: float) -> int:
    left = answers.seconds_left(data.get("expires_at"), now_s)
    if left is not None:
        return left
    soon = answers.whole(data.get("refresh_in"))
    return _LIFE_S if soon is None else soon + 60


def _endpoint(value: Any) -> str:
    """Return a host of Copilot's own; the token is sent nowhere else."""
    found = answers.text(value, 200).rstrip("/")
    try:
        parts = urlsplit(found)
    except ValueError:
        return ""
    is_theirs = (parts.hostname or "").endswith(".githubcopilot.com")
    is_bare = not parts.path and parts.username is None and not parts.query
    return found if parts.scheme == "https" and is_theirs and is_bare else ""


def _to_exchange(token: str, label: str) -> Grant:
    return Grant(access_token=token, refresh_token=token, expires_in_s=0, label=label)


def _github_ask(settings: VendorSettings, progress: Progress, path: str) -> Ask:
    headers = {
        "accept": "application/json",
        "authorization": f"token {_known(progress).access_token}",
    }
    return Ask(method="GET", url=_api(settings) + path, headers=headers)


def _known(progress: Progress) -> Grant:
    if progress.grant is None:
        raise answers.refused("unavailable", is_final=True)
    return progress.grant


def _is_company(settings: VendorSettings) -> bool:
    return settings["domain"] != _PUBLIC


def _with_client(settings: VendorSettings) -> VendorSettings:
    default = _COMPANY_CLIENT if _is_company(settings) else _PUBLIC_CLIENT
    client_id = settings["client_id"] or default
    values = {**settings.values, "client_id": client_id}
    return replace(settings, values=values)


def _web(settings: VendorSettings) -> str:
    return settings["web_url"] or f"https://{settings['domain']}"


def _api(settings: VendorSettings) -> str:
    own = f"https://{settings['domain']}/api/v3"
    return settings["api_url"] or (
        own if _is_company(settings) else "https://api.github.com"
    )


def _copilot(settings: VendorSettings) -> str:
    own = f"https://copilot-api.{settings['domain']}"
    return settings["copilot_url"] or (
        own if _is_company(settings) else "https://api.githubcopilot.com"
    )
