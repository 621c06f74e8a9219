"""Send one message, by webhook or mail; no database is touched here.

A webhook goes through the guarded client of the control plane: private addresses only
where ``POOL_ALLOW_PRIVATE`` opens them, no redirects, ten seconds, and of the answer
only the status counts. Mail goes to the server of ``POOL_EMAIL_URL``, which whoever
runs the machine has chosen.
"""

from __future__ import annotations

import json
import smtplib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any, Final

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from poolsite.clock import Clock
from poolsite.crypto import Secret
from poolsite.delivery import messages, signing
from poolsite.destinations import Category, EgressError, EgressRefusedError, Vetter
from poolsite.egress_control import ControlClient

TIMEOUT_S: Final = 10.0
_GRACE_S: Final = 1.0
_MOST_ANSWER_BYTES: Final = 256 * 1024
_NO_MAIL: Final = "django.core.mail.backends.dummy.EmailBackend"
_DJANGO_SENDER: Final = "webmaster@localhost"
LATE: Final = "It did not answer in time."
_WORDS: Final = {
    Category.DNS: "The host name does not resolve.",
    Category.REFUSED: "Nothing answers at this address.",
    Category.TLS: "The TLS certificate is not valid for this host.",
    Category.TIMEOUT: LATE,
    Category.RESET: "The connection was cut before it answered.",
}


@dataclass(frozen=True)
class Parcel:
    """One message, ready to go: everything that sending needs, nothing stored.

    Shapes:  ``url`` and ``secret`` for a webhook, ``addresses`` for mail.
    """

    body: dict[str, Any]
    url: Secret | None = None
    secret: Secret | None = None
    addresses: Sequence[str] = ()


def vetter() -> Vetter:
    """Return what decides where a webhook may be."""
    return Vetter(settings.CONFIG.allow_private)


def has_mail() -> bool:
    """Tell whether a mail server is set."""
    return bool(settings.EMAIL_BACKEND != _NO_MAIL)


def start(parcel: Parcel, clock: Clock) -> Future[str]:
    """Send in a thread; the result is blank, or why it did not arrive.

    The thread bounds what a client cannot: a server that drips its headers. It is left
    behind when it is too slow.
    """
    sent: Future[str] = Future()

    def work() -> None:
        try:
            sent.set_result(send(parcel, clock))
        except Exception as exc:  # noqa: BLE001 - said as its class: it may hold a secret
            sent.set_result(f"It failed ({type(exc).__name__}).")

    Thread(target=work, daemon=True, name="delivery").start()
    return sent


def wait(sent: Future[str]) -> str:
    """Return how sending ended, after the deadline at the latest."""
    try:
        return sent.result(TIMEOUT_S + _GRACE_S)
    except TimeoutError:
        return LATE


def send(parcel: Parcel, clock: Clock) -> str:
    """Send a message; return blank, or a sentence that says why it did not arrive.

    Cost:    one outbound call.
    """
    if parcel.url is None:
        return _guarded(lambda: _mail(parcel))
    return _guarded(lambda: _post(parcel, clock))


def body_of(parcel: Parcel) -> bytes:
    """Return what is signed and sent, byte for byte."""
    return json.dumps(parcel.body, separators=(",", ":")).encode()


def _post(parcel: Parcel, clock: Clock) -> str:
    if parcel.url is None or parcel.secret is None:
        return "It has no signing secret; make a new one."
    body = body_of(parcel)
    at_s = clock.time_ns() // 1_000_000_000
    headers = {
        "Content-Type": "application/json",
        signing.EVENT_ID: str(parcel.body["id"]),
        signing.SIGNATURE: signing.signature(parcel.secret.reveal(), body, at_s),
    }
    with ControlClient(
        vetter(),
        read_timeout_s=TIMEOUT_S,
        deadline_s=TIMEOUT_S,
        limit_bytes=_MOST_ANSWER_BYTES,
    ) as client:
        to = client.prepare(parcel.url.reveal())
        answer = client.send(
            to,
            headers=headers,
            body=body,
            secret_origin=parcel.url.origin,
            method="POST",
        )
    return _verdict(answer.status)


def _verdict(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"It redirects ({status}); redirects are not followed."
    return f"It answered {status}."


def _mail(parcel: Parcel) -> str:
    if not has_mail():
        return "No mail server is set: POOL_EMAIL_URL."
    connection = get_connection(timeout=TIMEOUT_S)
    mail = EmailMessage(
        messages.one_line(messages.subject(parcel.body)),
        messages.text(parcel.body),
        sender(),
        list(parcel.addresses),
        connection=connection,
        headers={
            "X-Pool-Event-Id": str(parcel.body["id"]),
            "Auto-Submitted": "auto-generated",
        },
    )
    mail.send()
    return ""


def sender() -> str:
    """Return whom mail comes from: as the mail URL says, else the one who signs in."""
    given: str = getattr(settings, "OPTIONS", {}).get("DEFAULT_FROM_EMAIL", "")
    if given or settings.DEFAULT_FROM_EMAIL != _DJANGO_SENDER:
        return given or settings.DEFAULT_FROM_EMAIL
    user: str = settings.EMAIL_HOST_USER
    return user if "@" in user else _DJANGO_SENDER.replace("webmaster", "provider-pool")


def _guarded(send_it: Callable[[], str]) -> str:
    """Turn what goes wrong into a sentence without addresses or secrets."""
    try:
        return send_it()
    except EgressRefusedError as exc:
        return str(exc)
    except EgressError as exc:
        if exc.category is Category.TOO_LARGE:
            return "Its answer is too large for one nobody reads."
        return _WORDS.get(exc.category, f"It failed ({exc.category}).")
    except smtplib.SMTPResponseException as exc:
        return f"The mail server answered {exc.smtp_code}."
    except smtplib.SMTPRecipientsRefused:
        return "The mail server takes none of these addresses."
    except TimeoutError:
        return LATE
    except (smtplib.SMTPException, OSError, ValueError) as exc:
        return f"It failed ({type(exc).__name__})."
