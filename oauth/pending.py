"""Keep sign-ins under way: begun, polled, fed with a pasted address, ended.

What a sign-in knows (codes, verifier, fresh tokens) is one sealed column. A row is bound
to the session that began it; its state is used once. No transaction is open while a
vendor is asked.
"""

from __future__ import annotations

import secrets as randoms_of
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from oauth import client, flow, notices, vendor_settings
from oauth.connecting import connect
from oauth.models import Account, SignIn
from oauth.services import Place
from oauth.vendors.base import (
    DeviceCode,
    Method,
    Progress,
    Quiet,
    Randoms,
    TokenRefusedError,
    Vendor,
    VendorSettings,
)
from oauth.vendors.registry import vendor_of
from poolsite import audit, secrets
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.columns import ColumnError
from poolsite.egress_control import ControlClient

_CLOCK = SystemClock()
_LIFETIME: Final = timedelta(seconds=flow.LIFETIME_S)
_KEPT: Final = timedelta(days=1)
_CLAIM_S: Final = 90
_TROUBLE_S: Final = 10
_LONGEST_WAIT_S: Final = 300
_STATES: Final = {
    "access_denied": SignIn.State.DENIED,
    "expired_token": SignIn.State.EXPIRED,
}


class Kept(Quiet, frozen=True, kw_only=True):
    """The sealed part of a row."""

    randoms: Randoms
    progress: Progress | None = None


class Tools(NamedTuple):
    """What a sign-in needs of the world."""

    http: ControlClient
    clock: Clock = _CLOCK


class SignInError(Exception):
    """A sign-in cannot begin or go on; the text fits any screen."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def ready_vendor(vendor_id: str) -> tuple[Vendor, VendorSettings]:
    """Return a vendor somebody may sign in at, with its settings.

    Errors: SignInError saying what is missing; UnknownVendorError.
    Cost:   two queries.
    """
    vendor = vendor_of(vendor_id)
    if vendor.is_template:
        raise SignInError("This vendor has withdrawn sign-ins by other software.")
    if notices.acceptance_of(vendor) is None:
        raise SignInError("An owner has to accept the notice on this vendor's terms.")
    settings = vendor_settings.settings_of(vendor)
    if names := vendor_settings.missing(vendor, settings):
        raise SignInError(f"Set these of the vendor first: {', '.join(names)}.")
    return vendor, settings


def start(
    actor: Actor,
    place: Place,
    vendor_id: str,
    method: Method,
    *,
    session: str,
    tools: Tools,
) -> SignIn:
    """Begin a sign-in; by device the vendor is asked for a code.

    Errors: SignInError.
    Cost:   some queries; by device one or two requests.
    """
    vendor, settings = ready_vendor(vendor_id)
    made = flow.new_randoms()
    if method not in vendor.methods or method == "import":
        raise SignInError("This vendor has no such way to sign in.")
    progress = None
    if method == "device":
        try:
            progress = client.take_steps(
                tools.http,
                vendor,
                settings,
                vendor.start_device(settings, made),
                clock=tools.clock,
            )
        except TokenRefusedError as exc:
            raise SignInError(str(exc)) from exc
    elif not settings["authorize_url"]:
        raise SignInError("Set authorize_url of the vendor first.")
    row = SignIn(vendor=vendor.id, method=method, session_digest=flow.digest(session))
    row.provider_slug, row.origin = place.provider_slug, place.origin
    _create(actor, row, Kept(randoms=made, progress=progress), tools.clock)
    return row


def find(key: str, session: str) -> SignIn:
    """Return a sign-in of this session.

    Errors: SignInError for another session's as for none. One query.
    """
    row = SignIn.objects.filter(key=key, session_digest=flow.digest(session)).first()
    if row is None:
        raise SignInError("There is no such sign-in; start again.")
    return row


def shown(row: SignIn) -> DeviceCode | None:
    """Return the code to type, None for a sign-in by browser or one that ended."""
    kept = _open(row)
    return kept.progress.shown if kept is not None and kept.progress else None


def browser_url(row: SignIn) -> str:
    """Return where the browser goes, blank for a sign-in that ended."""
    kept = _open(row)
    if kept is None or row.method != "pkce":
        return ""
    vendor = vendor_of(row.vendor)
    return vendor.authorize_url(vendor_settings.settings_of(vendor), kept.randoms)


def poll(actor: Actor, row: SignIn, tools: Tools) -> SignIn:
    """Take the next step if it is due; otherwise return the row as it stands.

    Shapes: of several pages that ask at once, one speaks to the vendor.
    Cost:   two queries; when due a few requests.
    """
    now = tools.clock.now()
    row.refresh_from_db()
    if row.state == SignIn.State.WAITING and now >= row.expires_at:
        return _end(actor, row, "expired_token", "The code expired; start again.", now)
    mine = SignIn.objects.filter(
        pk=row.pk, state=SignIn.State.WAITING, due_at__lte=now
    ).update(due_at=now + timedelta(seconds=_CLAIM_S))
    kept = _open(row) if mine else None
    if kept is None or kept.progress is None:
        return row
    return _advance(actor, row, kept, kept.progress, tools)


def paste(actor: Actor, row: SignIn, text: str, tools: Tools) -> SignIn:
    """Take the address a browser ended at, or a code as the vendor shows it.

    Errors: PasteError for what cannot be used; the sign-in goes on waiting.
            SignInError for one that ended, or whose address was used.
    Cost:   some queries and requests.
    """
    now = tools.clock.now()
    row.refresh_from_db()
    if row.state == SignIn.State.WAITING and now >= row.expires_at:
        _end(actor, row, "expired_token", "Ten minutes passed; start again.", now)
    kept = _open(row)
    if kept is None or row.method != "pkce" or row.used_at is not None:
        raise SignInError("This sign-in has ended or was used; start again.")
    vendor = vendor_of(row.vendor)
    settings = vendor_settings.settings_of(vendor)
    try:
        code = flow.read_callback(
            text, state=kept.randoms.state, redirect_url=settings["redirect_url"]
        )
    except TokenRefusedError as exc:
        return _end(actor, row, exc.code, str(exc), now)
    claimed = SignIn.objects.filter(
        pk=row.pk, state=SignIn.State.WAITING, used_at=None
    ).update(used_at=now)
    if not claimed:
        raise SignInError("This sign-in has ended or was used; start again.")
    row.used_at = now
    begun = vendor.start_exchange(settings, kept.randoms, code)
    return _advance(actor, row, kept, begun, tools)


@one_change
def cancel(actor: Actor, row: SignIn, *, clock: Clock = _CLOCK) -> None:
    """End a sign-in nobody wants any more."""
    row.refresh_from_db()
    if row.state == SignIn.State.WAITING:
        _write_end(row, SignIn.State.CANCELLED, clock.now())
        audit.record(actor, "sign_in.cancel", row, clock=clock)


def bring_in(
    actor: Actor, place: Place, vendor_id: str, text: str, *, clock: Clock = _CLOCK
) -> Account:
    """Make an account of a pasted token or token file.

    Errors: SignInError; it names the line of a broken file and shows none of it.
    """
    vendor, _ = ready_vendor(vendor_id)
    try:
        grant = vendor.read_import(text, now_s=clock.now().timestamp())
        return connect(actor, place, vendor, grant, clock=clock)
    except (TokenRefusedError, ColumnError) as exc:
        raise SignInError(str(exc)) from exc


def _advance(
    actor: Actor, row: SignIn, kept: Kept, progress: Progress, tools: Tools
) -> SignIn:
    """Take step after step, keeping each: tokens once issued are not lost again."""
    vendor = vendor_of(row.vendor)
    settings = vendor_settings.settings_of(vendor)
    while not progress.is_done:
        try:
            progress = client.take_step(
                tools.http, vendor, settings, progress, clock=tools.clock
            )
        except TokenRefusedError as exc:
            now = tools.clock.now()
            if exc.is_final:
                return _end(actor, row, exc.code, str(exc), now)
            pace = progress.shown.interval_s if progress.shown else 0
            wait_s = max(exc.retry_after_s or _TROUBLE_S, pace)
            progress = replace(progress, wait_s=min(wait_s, _LONGEST_WAIT_S))
            row.message = str(exc)[:300]
        else:
            row.message = ""
        _keep(row, replace(kept, progress=progress), tools.clock.now())
        if progress.wait_s:
            return row
    return _finish(actor, row, vendor, progress, tools.clock)


@one_change
def _create(actor: Actor, row: SignIn, kept: Kept, clock: Clock) -> None:
    now = clock.now()
    SignIn.objects.filter(expires_at__lt=now - _KEPT).delete()
    row.key = randoms_of.token_urlsafe(24)
    row.created_at, row.expires_at = now, now + _LIFETIME
    progress = kept.progress
    if progress is not None and progress.shown is not None:
        row.expires_at = datetime.fromtimestamp(progress.shown.expires_at_s, UTC)
        row.due_at = now + timedelta(seconds=progress.wait_s)
    row.save(force_insert=True)
    _seal(row, kept)
    row.save(update_fields=["progress", "progress_kid"])
    after = {"provider": row.provider_slug, "vendor": row.vendor, "method": row.method}
    audit.record(actor, "sign_in.start", row, after=after, clock=clock)


@one_change
def _finish(
    actor: Actor, row: SignIn, vendor: Vendor, progress: Progress, clock: Clock
) -> SignIn:
    fresh = SignIn.objects.get(pk=row.pk)
    if fresh.state != SignIn.State.WAITING or progress.grant is None:
        return fresh  # Cancelled meanwhile: its tokens are dropped.
    place = Place(row.provider_slug, row.origin)
    row.account = connect(actor, place, vendor, progress.grant, clock=clock)
    _write_end(row, SignIn.State.DONE, clock.now())
    return row


@one_change
def _end(actor: Actor, row: SignIn, code: str, message: str, now: datetime) -> SignIn:
    fresh = SignIn.objects.get(pk=row.pk)
    if fresh.state != SignIn.State.WAITING:
        return fresh
    row.code, row.message = code[:60], message[:300]
    _write_end(row, _STATES.get(code, SignIn.State.FAILED), now)
    audit.record(actor, "sign_in.end", row, after={"code": row.code}, result="failed")
    return row


def _write_end(row: SignIn, state: SignIn.State, now: datetime) -> None:
    row.state, row.ended_at, row.due_at = state, now, None
    row.progress, row.progress_kid = "", ""
    row.save()


def _keep(row: SignIn, kept: Kept, now: datetime) -> None:
    _seal(row, kept)
    wait_s = kept.progress.wait_s if kept.progress else 0
    # A process that dies before the next step is followed by another after a while.
    row.due_at = now + timedelta(seconds=wait_s or _CLAIM_S)
    # Only while it waits: a cancelled one must not get its secrets back.
    SignIn.objects.filter(pk=row.pk, state=SignIn.State.WAITING).update(
        progress=row.progress,
        progress_kid=row.progress_kid,
        due_at=row.due_at,
        message=row.message,
    )


def _seal(row: SignIn, kept: Kept) -> None:
    secrets.seal_for(row, "progress", msgspec.json.encode(kept).decode())


def _open(row: SignIn) -> Kept | None:
    if row.state != SignIn.State.WAITING or not row.progress:
        return None
    text = secrets.open_for(row, "progress").reveal()
    return msgspec.json.decode(text, type=Kept)
