"""Cloud Code Assist: find the project of a Google sign-in, or have one made.

Gemini CLI and Antigravity share it. Client id and secret are the operator's settings.

Source: reference seeds 8.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from oauth.vendors import answers, tokenfiles
from oauth.vendors.base import (
    DONE,
    Ask,
    Grant,
    Method,
    Progress,
    Reply,
    Serving,
    TokenRefusedError,
    VendorSettings,
)
from oauth.vendors.standard import Standard, Step, web_address

AUTHORIZE_URL: Final = "https://accounts.google.com/o/oauth2/v2/auth"
TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
USER_URL: Final = "https://www.googleapis.com/oauth2/v1/userinfo?alt=json"
SCOPES: Final = (
    "https://www.googleapis.com/auth/cloud-platform"
    " https://www.googleapis.com/auth/userinfo.email"
    " https://www.googleapis.com/auth/userinfo.profile"
)
_METADATA: Final = {
    "ideType": "IDE_UNSPECIFIED",
    "platform": "PLATFORM_UNSPECIFIED",
    "pluginType": "GEMINI",
}
_FREE, _LEGACY = "free-tier", "legacy-tier"
_WAIT_S: Final = 5
_MOST_TRIES: Final = 12
_OK: Final = 200


class CodeAssistVendor(Standard):
    """What both Google sign-ins have in common."""

    methods: tuple[Method, ...] = ("pkce", "import")
    lead_s = 300
    longest_s = 300
    authorize_extra = {"access_type": "offline", "prompt": "consent"}

    def steps(self) -> Mapping[str, Step]:
        """Return the steps by name."""
        return {
            **super().steps(),
            "user": Step(self._user_ask, self._user_read),
            "load": Step(self._load_ask, self._load_read),
            "onboard": Step(self._onboard_ask, self._onboard_read),
        }

    def granted(
        self, settings: VendorSettings, progress: Progress, grant: Grant
    ) -> Progress:
        """Ask who signed in, then for the project."""
        return Progress(step="user", grant=grant)

    def read_import(self, text: str, *, now_s: float) -> Grant:
        """Read oauth_creds.json."""
        grant = tokenfiles.flat(data := tokenfiles.load(text), now_s)
        project = answers.text(data.get("project_id"))
        return replace(grant, extra={"project": project} if project else {})

    def serving(self, settings: VendorSettings, extra: Mapping[str, Any]) -> Serving:
        """Return nothing of its own: the project belongs into the envelope."""
        return Serving()

    def _user_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        return self._call(settings["user_url"], progress)

    def _user_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        data = answers.parse(reply.body)
        grant = _known(progress)
        label = answers.text(data.get("email")) or grant.label
        subject = answers.text(data.get("id")) or grant.subject
        return Progress(step="load", grant=replace(grant, label=label, subject=subject))

    def _load_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        project = _own_project(settings)
        body: dict[str, Any] = {"metadata": dict(_METADATA)}
        if project:
            body["cloudaicompanionProject"] = project
            body["metadata"]["duetProject"] = project
        return self._call(_method(settings, "loadCodeAssist"), progress, body)

    def _load_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        data = _read(reply, now_s)
        grant = _known(progress)
        paid = answers.part(data, "paidTier")
        tier = paid or answers.part(data, "currentTier")
        grant = replace(
            grant, plan=answers.text(tier.get("name") or tier.get("id"), 60)
        )
        if answers.part(data, "currentTier"):
            found = _project_of(data) or _own_project(settings)
            if not found:
                raise _no_project(data, settings)
            return _with_project(grant, found)
        values = {"tier": _tier_to_join(data, settings), "tries": 0}
        return Progress(step="onboard", values=values, grant=grant)

    def _onboard_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        tier = progress.values["tier"]
        body: dict[str, Any] = {"tierId": tier, "metadata": dict(_METADATA)}
        if tier != _FREE:
            project = _own_project(settings)
            body["cloudaicompanionProject"] = project
            body["metadata"]["duetProject"] = project
        return self._call(_method(settings, "onboardUser"), progress, body)

    def _onboard_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        data = _read(reply, now_s)
        if data.get("done") is not True:
            tries = progress.values["tries"] + 1
            if tries >= _MOST_TRIES:
                raise answers.refused("unavailable", is_final=True)
            values = {**progress.values, "tries": tries}
            return replace(progress, values=values, wait_s=_WAIT_S)
        response = answers.part(data, "response")
        found = _project_of(response) or _own_project(settings)
        if not found:
            raise _no_project(data, settings)
        grant = _known(progress)
        plan = grant.plan or answers.text(progress.values["tier"], 60)
        return _with_project(replace(grant, plan=plan), found)

    def _call(self, url: str, progress: Progress, body: Any = None) -> Ask:
        token = _known(progress).access_token
        headers = {**self.headers({}), "authorization": f"Bearer {token}"}
        method = "GET" if body is None else "POST"
        return Ask(method=method, url=url, headers=headers, json=body)


def _read(reply: Reply, now_s: float) -> dict[str, Any]:
    data = answers.parse(reply.body)
    if reply.status != _OK:
        raise answers.refusal(
            reply.status, reply.headers, data, now_s=now_s, in_flow=True
        )
    return data


def _method(settings: VendorSettings, name: str) -> str:
    return f"{settings['code_url']}/v1internal:{name}"


def _own_project(settings: VendorSettings) -> str:
    """Return the operator's project; a number is not the name of one."""
    found = settings["project"].strip()
    return "" if found.isdigit() else found


def _project_of(data: Mapping[str, Any]) -> str:
    found = data.get("cloudaicompanionProject")
    if isinstance(found, dict):
        found = found.get("id")
    return answers.text(found)


def _tier_to_join(data: Mapping[str, Any], settings: VendorSettings) -> str:
    rows = data.get("allowedTiers")
    tiers = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []  # fmt: skip
    default = next((row for row in tiers if row.get("isDefault") is True), {})
    tier = answers.text(default.get("id")) or _LEGACY
    if tier != _FREE and not _own_project(settings):
        raise _no_project(data, settings)
    return tier


def _no_project(data: Mapping[str, Any], settings: VendorSettings) -> TokenRefusedError:
    """Say why there is no project, with the vendor's reason where it gave one."""
    rows = data.get("ineligibleTiers")
    first = rows[0] if isinstance(rows, list) and rows else {}
    if not isinstance(first, dict) or not first:
        sentence = "This account needs a project: set its id in the vendor's settings."
        return TokenRefusedError("project_required", is_final=True, sentence=sentence)
    code = answers.text(first.get("reasonCode"), 60).lower() or "ineligible"
    sentence = answers.text(first.get("reasonMessage"), 300) or (
        f"Google says that this account may not use the service ({code})."
    )
    if code == "validation_required":
        place = web_address(first.get("validationUrl"), settings)
        sentence = f"{sentence} Validate the account: {place}" if place else sentence
    return TokenRefusedError(code, is_final=True, sentence=sentence)


def _with_project(grant: Grant, project: str) -> Progress:
    return Progress(step=DONE, grant=replace(grant, extra={"project": project}))


def _known(progress: Progress) -> Grant:
    if progress.grant is None:
        raise answers.refused("unavailable", is_final=True)
    return progress.grant
