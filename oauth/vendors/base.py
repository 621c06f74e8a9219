"""Name what a vendor of sign-ins can do: pure functions around requests to send.

A vendor's module never opens a connection and never looks at a clock. It turns what is
known into the next request (``Ask``) and what came back into what is known now
(``Progress``, ``Grant``). ``oauth.client`` sends; ``oauth.pending`` keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

import msgspec

Method = Literal["device", "pkce", "import"]

DONE: Final = "done"


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """A struct that may hold secrets: its text names its type and nothing else."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Ask(Quiet, frozen=True, kw_only=True):
    """One request to send: at most one of ``form`` and ``json`` is its body.

    Shapes: ``is_private`` says that it carries a secret, which the sender then lets
        go to the vendor's own origins only.
    """

    url: str
    method: str = "POST"
    headers: dict[str, str] = {}
    form: dict[str, str] | None = None
    json: Any = None
    is_private: bool = True


class Reply(Quiet, frozen=True, kw_only=True):
    """What came back, whatever its status; header names are lower case."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Grant(Quiet, frozen=True, kw_only=True):
    """Tokens and what the vendor said of their owner.

    Shapes: ``refresh_token`` None means that none came and the one before stays;
        ``expires_in_s`` None means not told; ``extra`` holds what later requests need
        and no secret (project, endpoint, account id).
    """

    access_token: str
    refresh_token: str | None = None
    expires_in_s: int | None = None
    scopes: tuple[str, ...] = ()
    subject: str = ""
    label: str = ""
    plan: str = ""
    extra: dict[str, Any] = {}


class TokenRefusedError(Exception):
    """The vendor gave no token; the text fits any screen.

    Shapes: ``code`` is the vendor's word or one of ours, bounded and plain;
        ``is_final`` says that asking again with the same token or code is of no use;
        ``retry_after_s`` is None when the vendor named no time.
    """

    def __init__(
        self,
        code: str,
        *,
        is_final: bool,
        retry_after_s: int | None = None,
        sentence: str = "",
    ) -> None:
        super().__init__(sentence or f"The vendor refused the sign-in ({code}).")
        self.code = code
        self.is_final = is_final
        self.retry_after_s = retry_after_s


class DeviceCode(Quiet, frozen=True, kw_only=True):
    """What a person types where, and until when.

    Units: ``expires_at_s`` in seconds since 1970; ``interval_s`` between two polls.
    """

    user_code: str
    verification_url: str
    complete_url: str = ""
    expires_at_s: int
    interval_s: int


class Progress(Quiet, frozen=True, kw_only=True):
    """How far a sign-in is: everything the next step needs, JSON and secret.

    Shapes: ``step`` names the request that comes next, ``DONE`` that none does;
        ``values`` belongs to the vendor's module; ``wait_s`` says how long to wait
        before that request; ``grant`` is there as soon as the tokens are.
    """

    step: str
    values: dict[str, Any] = {}
    wait_s: int = 0
    shown: DeviceCode | None = None
    grant: Grant | None = None

    @property
    def is_done(self) -> bool:
        """Say whether the sign-in ended well."""
        return self.step == DONE


class Randoms(Quiet, frozen=True, kw_only=True):
    """Three independent random texts, made for one sign-in."""

    state: str
    verifier: str
    nonce: str


class Knob(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of a vendor: ``oauth.<vendor>.<name>`` in the rows.

    Shapes: names that end in ``_url`` hold an address; a required one without a
        default must be set by the operator before the vendor can be used.
    """

    name: str
    default: str = ""
    is_secret: bool = False
    is_required: bool = False


class VendorSettings(Quiet, frozen=True, kw_only=True):
    """The settings in force, every knob of the vendor present.

    Shapes: ``allow_private`` holds the host and port pairs of the operator's own
        addresses that may be private.
    """

    values: dict[str, str]
    allow_private: frozenset[tuple[str, int]] = frozenset()

    def __getitem__(self, name: str) -> str:
        return self.values[name]


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """How models are asked with such an account.

    Shapes: ``base_url`` is blank where the provider's own holds; ``headers`` are the
        ones the endpoint requires and hold no secret.
    """

    base_url: str = ""
    headers: dict[str, str] = {}


class Vendor(Protocol):
    """One vendor of sign-ins.

    Shapes: ``catalogue_ids`` are the catalogue's providers such an account serves;
        ``lead_s`` is how long before its expiry a token is refreshed;
        ``is_template`` vendors are shown, and cannot be used.
    """

    @property
    def id(self) -> str:
        """Its name in rows and settings."""
        ...

    @property
    def name(self) -> str:
        """Its name on screens."""
        ...

    @property
    def catalogue_ids(self) -> tuple[str, ...]:
        """The catalogue entries it signs in to."""
        ...

    @property
    def methods(self) -> tuple[Method, ...]:
        """How a sign-in can be made."""
        ...

    @property
    def lead_s(self) -> int:
        """Seconds before expiry at which a refresh is due."""
        ...

    @property
    def is_template(self) -> bool:
        """Whether it is only shown."""
        ...

    @property
    def knobs(self) -> tuple[Knob, ...]:
        """Its settings."""
        ...

    def refresh(
        self, settings: VendorSettings, refresh_token: str, extra: Mapping[str, Any]
    ) -> Ask:
        """Return the request that gets a new access token."""
        ...

    def read_grant(
        self, status: int, headers: Mapping[str, str], body: bytes, *, now_s: float
    ) -> Grant:
        """Read the answer to ``refresh``.

        Errors: TokenRefusedError.
        """
        ...

    def start_device(self, settings: VendorSettings, randoms: Randoms) -> Progress:
        """Begin a sign-in on another device."""
        ...

    def authorize_url(self, settings: VendorSettings, randoms: Randoms) -> str:
        """Return where the person's browser goes."""
        ...

    def start_exchange(
        self, settings: VendorSettings, randoms: Randoms, code: str
    ) -> Progress:
        """Begin to turn the code a browser brought back into tokens."""
        ...

    def ask(self, settings: VendorSettings, progress: Progress) -> Ask:
        """Return the request of the step a sign-in stands at."""
        ...

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
        ...

    def read_import(self, text: str, *, now_s: float) -> Grant:
        """Read a token or a token file somebody pasted.

        Errors: TokenRefusedError whose text says what is wrong with it.
        """
        ...

    def serving(self, settings: VendorSettings, extra: Mapping[str, Any]) -> Serving:
        """Return how models are asked with an account."""
        ...
