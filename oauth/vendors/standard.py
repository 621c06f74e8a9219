"""Sign in by the book: device codes, codes with a proof key, refresh tokens.

A vendor's module is this class with its own addresses, and with methods of its own
where the vendor leaves the book.

Source: RFC 6749, RFC 7636, RFC 8628.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from msgspec.structs import replace

from oauth.flow import challenge
from oauth.vendors import answers, tokenfiles
from oauth.vendors.base import (
    DONE,
    Ask,
    DeviceCode,
    Grant,
    Knob,
    Method,
    Progress,
    Randoms,
    Reply,
    Serving,
    VendorSettings,
)

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_JSON: Final = {"accept": "application/json"}
_SLOWER_S: Final = 5
_LONGEST_INTERVAL_S: Final = 120
_OK: Final = 200


class Step(NamedTuple):
    """One request of a sign-in and the reading of its answer."""

    ask: Callable[[VendorSettings, Progress], Ask]
    read: Callable[[VendorSettings, Progress, Reply, float], Progress]


class Standard:
    """A vendor that keeps to the book."""

    id = ""
    name = ""
    catalogue_ids: tuple[str, ...] = ()
    methods: tuple[Method, ...] = ()
    lead_s = 300
    is_template = False
    knobs: tuple[Knob, ...] = ()

    poll_s = 5
    longest_s = 900
    sends_json = False
    has_device_proof = False
    sends_nonce = False
    authorize_extra: Mapping[str, str] = {}

    # What a flow stands on.

    def start_device(self, settings: VendorSettings, randoms: Randoms) -> Progress:
        """Begin a sign-in on another device."""
        return Progress(step="device", values={"verifier": randoms.verifier})

    def start_exchange(
        self, settings: VendorSettings, randoms: Randoms, code: str
    ) -> Progress:
        """Begin to turn the code a browser brought back into tokens."""
        values = {
            "code": code,
            "state": randoms.state,
            "verifier": randoms.verifier,
            "nonce": randoms.nonce,
        }
        return Progress(step="exchange", values=values)

    def authorize_url(self, settings: VendorSettings, randoms: Randoms) -> str:
        """Return where the person's browser goes; no token is ever in an address."""
        fields = {
            "response_type": "code",
            "client_id": settings["client_id"],
            "redirect_uri": settings["redirect_url"],
            "scope": settings["scope"],
            "code_challenge": challenge(randoms.verifier),
            "code_challenge_method": "S256",
            "state": randoms.state,
            **self.authorize_extra,
        }
        if self.sends_nonce:
            fields["nonce"] = randoms.nonce
        return f"{settings['authorize_url']}?{urlencode(fields)}"

    def ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        """Return the request of the step a sign-in stands at."""
        return self.steps()[progress.step].ask(settings, progress)

    def advance(
        self,
        settings: VendorSettings,
        progress: Progress,
        reply: Reply,
        *,
        now_s: float,
    ) -> Progress:
        """Read the answer of that step.

        Errors: TokenRefusedError; a final one ends the sign-in.
        """
        return self.steps()[progress.step].read(settings, progress, reply, now_s)

    def steps(self) -> Mapping[str, Step]:
        """Return the steps by name."""
        return {
            "device": Step(self.device_ask, self.device_read),
            "poll": Step(self.poll_ask, self.poll_read),
            "exchange": Step(self.exchange_ask, self.exchange_read),
        }

    # The device's code.

    def device_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        """Ask for a code to type elsewhere."""
        form = {"client_id": settings["client_id"]}
        if settings["scope"]:
            form["scope"] = settings["scope"]
        if self.has_device_proof:
            form["code_challenge"] = challenge(progress.values["verifier"])
            form["code_challenge_method"] = "S256"
        return self.form_ask(self.device_url(settings, progress), form, progress.values)

    def device_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        """Read the code, where to type it and how often to ask."""
        data = answers.parse(reply.body)
        code = answers.token(data.get("device_code"))
        shown = self.shown_code(settings, data, now_s)
        if reply.status != _OK or not code or shown is None:
            raise answers.refusal(
                reply.status, reply.headers, data, now_s=now_s, in_flow=True
            )
        values = {**progress.values, "device_code": code}
        return Progress(
            step="poll", values=values, wait_s=shown.interval_s, shown=shown
        )

    def shown_code(
        self, settings: VendorSettings, data: Mapping[str, Any], now_s: float
    ) -> DeviceCode | None:
        """Return what a person needs to see, None when it cannot be used."""
        user_code = answers.text(data.get("user_code"), 40)
        place = data.get("verification_uri", data.get("verification_url"))
        url = web_address(place, settings)
        if not user_code or not url:
            return None
        life = answers.whole(data.get("expires_in"), least=1) or self.longest_s
        pace = answers.whole(data.get("interval"), least=1) or self.poll_s
        return DeviceCode(
            user_code=user_code,
            verification_url=url,
            complete_url=web_address(data.get("verification_uri_complete"), settings),
            expires_at_s=round(now_s) + min(life, self.longest_s),
            interval_s=min(pace, _LONGEST_INTERVAL_S),
        )

    # Asking whether somebody typed it.

    def poll_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        """Ask whether the code was typed."""
        form = {
            "client_id": settings["client_id"],
            "device_code": progress.values["device_code"],
            "grant_type": DEVICE_GRANT,
        }
        if self.has_device_proof:
            form["code_verifier"] = progress.values["verifier"]
        self.add_secret(settings, form)
        return self.form_ask(self.token_url(settings, progress), form, progress.values)

    def poll_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        """Read the tokens, or wait: some vendors say so with 200, some with 400."""
        data = answers.parse(reply.body)
        code = answers.error_code(data)
        if code in {"authorization_pending", "slow_down"}:
            return self.waited(progress, is_slower=code == "slow_down", data=data)
        if reply.status != _OK or code:
            raise answers.refusal(
                reply.status, reply.headers, data, now_s=now_s, in_flow=True
            )
        return self.granted(settings, progress, self.read_tokens(data, now_s))

    def waited(
        self, progress: Progress, *, is_slower: bool, data: Mapping[str, Any]
    ) -> Progress:
        """Return the same step, later; asked to slow down, at a slower pace for good.

        Source: RFC 8628, 3.5.
        """
        if progress.shown is None:
            raise answers.refused("unavailable", is_final=True)
        pace = progress.shown.interval_s
        if is_slower:
            told = answers.whole(data.get("interval")) or 0
            pace = min(self.slower(pace, told), _LONGEST_INTERVAL_S)
        shown = replace(progress.shown, interval_s=pace)
        return replace(progress, shown=shown, wait_s=pace)

    def slower(self, pace_s: int, told_s: int) -> int:
        """Return the pace after a slow_down."""
        return max(pace_s + _SLOWER_S, told_s)

    # The code a browser brought back.

    def exchange_ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        """Ask for the tokens of a code."""
        values = progress.values
        form = {
            "grant_type": "authorization_code",
            "client_id": settings["client_id"],
            "code": values["code"],
            "code_verifier": values["verifier"],
            "redirect_uri": values.get("redirect_url") or settings["redirect_url"],
        }
        self.add_secret(settings, form)
        return self.form_ask(self.token_url(settings, progress), form, values)

    def exchange_read(
        self, settings: VendorSettings, progress: Progress, reply: Reply, now_s: float
    ) -> Progress:
        """Read the tokens; the nonce, where one was sent, must have come back."""
        data = answers.parse(reply.body)
        if reply.status != _OK or answers.error_code(data):
            raise answers.refusal(
                reply.status, reply.headers, data, now_s=now_s, in_flow=True
            )
        if self.sends_nonce and "id_token" in data:
            came = answers.claims(data["id_token"]).get("nonce")
            if came != progress.values["nonce"]:
                raise answers.refused("nonce_mismatch", is_final=True)
        return self.granted(settings, progress, self.read_tokens(data, now_s))

    def granted(
        self, settings: VendorSettings, progress: Progress, grant: Grant
    ) -> Progress:
        """Return what follows the tokens: the end, where nothing else is asked."""
        return Progress(step=DONE, grant=grant)

    # Later.

    def refresh(
        self, settings: VendorSettings, refresh_token: str, extra: Mapping[str, Any]
    ) -> Ask:
        """Return the request that gets a new access token."""
        form = {
            "grant_type": "refresh_token",
            "client_id": settings["client_id"],
            "refresh_token": refresh_token,
        }
        self.add_secret(settings, form)
        return self.form_ask(
            self.token_url(settings, Progress(step="refresh", values={**extra})),
            form,
            extra,
        )

    def read_grant(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now_s: float
    ) -> Grant:
        """Read the answer to ``refresh``.

        Errors: TokenRefusedError.
        """
        data = answers.parse(body)
        if status != _OK or answers.error_code(data):
            raise answers.refusal(status, headers, data, now_s=now_s)
        return self.read_tokens(data, now_s)

    def read_tokens(self, data: Mapping[str, Any], now_s: float) -> Grant:
        """Read a token answer.

        Errors: TokenRefusedError.
        """
        return answers.grant_of(data, now_s=now_s)

    def read_import(self, text: str, *, now_s: float) -> Grant:
        """Read a token or a token file somebody pasted.

        Errors: TokenRefusedError whose text says what is wrong with it.
        """
        return tokenfiles.flat(tokenfiles.load(text), now_s)

    def serving(self, settings: VendorSettings, extra: Mapping[str, Any]) -> Serving:
        """Return how models are asked with an account."""
        return Serving()

    # What modules change.

    def device_url(self, settings: VendorSettings, progress: Progress) -> str:
        """Return where device codes come from."""
        return settings["device_url"]

    def token_url(self, settings: VendorSettings, progress: Progress) -> str:
        """Return the token endpoint."""
        return settings["token_url"]

    def headers(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Return the headers every request of a sign-in carries."""
        return dict(_JSON)

    def add_secret(self, settings: VendorSettings, form: dict[str, str]) -> None:
        """Add the operator's client secret where there is one."""
        if found := settings.values.get("client_secret"):
            form["client_secret"] = found

    def form_ask(
        self, url: str, form: dict[str, str], values: Mapping[str, Any]
    ) -> Ask:
        """Return a request with these fields, in the vendor's kind of body."""
        if self.sends_json:
            return Ask(url=url, headers=self.headers(values), json=form)
        return Ask(url=url, headers=self.headers(values), form=form)


def web_address(value: Any, settings: VendorSettings) -> str:
    """Return an address a person may be sent to, blank for any other.

    Plain http is for private hosts whose own addresses are plain.
    """
    found = answers.text(value, 500)
    try:
        parts = urlsplit(found)
    except ValueError:
        return ""
    if not parts.hostname or parts.username is not None:
        return ""
    if parts.scheme == "https":
        return found
    is_plain = any(
        urlsplit(each).scheme == "http" and urlsplit(each).hostname == parts.hostname
        for name, each in settings.values.items()
        if name.endswith("_url")
    )
    return found if parts.scheme == "http" and is_plain else ""
