"""Test stored providers step by step, and move a refused key where that is allowed.

What a test finds is kept with the provider, so that it survives a restart and the next
snapshot sends calls there. A secret moves to another address only when the catalogue
listed that address when the provider was saved, or a person says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from django.conf import settings

from oauth.models import Account
from poolsite import audit, secrets, version
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.clock import Clock, SystemClock
from poolsite.crypto import UnreadableSecretError, make_internal_token
from poolsite.destinations import origin_of
from poolsite.secret_type import Secret
from providers.discovery.alternates import (
    Winner,
    is_refused,
    try_alternates,
    twins_of,
)
from providers.discovery.asking import Asker, Candidate
from providers.discovery.check import (
    CheckResult,
    Stage,
    candidate_of,
    check_provider,
    failed,
)
from providers.discovery.once import Flights, key_of
from providers.discovery.stages import call_stages, chat_models, skip, unasked
from providers.formats.cli_backed.command import is_program
from providers.models import ApiKey, Provider
from providers.services import providers
from providers.services.proof import signer_of
from providers.snapshot.speech import effective_base_url

_CLOCK = SystemClock()
_PROXIED: Final = "openai"
_SIGNS_IN: Final = "It is used with a signed-in account, which only a call tries."
_tests: Flights[CheckResult] = Flights()


def try_stored(
    actor: Actor,
    provider: Provider,
    *,
    with_call: bool = False,
    model: str = "",
    may_move: bool = False,
) -> CheckResult:
    """Test a stored provider step by step, and note how it went.

    Shapes:  ``with_call`` = three calls of a token through the proxy are wanted;
             ``may_move`` = the person allows its keys at the vendor's other sites.
    Fails:   never raises for what the provider does.
    Cost:    one request, three small calls when asked; 30 s in all. The same test that
             is under way is waited for.
    """
    key = key_of("test", provider.pk, with_call, model, may_move)
    return _tests.run(
        key, lambda: _test(actor, provider, with_call, model, may_move=may_move)
    )


def _test(
    actor: Actor, provider: Provider, with_call: bool, model: str, *, may_move: bool
) -> CheckResult:
    signer = signer_of(candidate_of(provider))
    result = check_provider(provider, sign=signer)
    if result.key_id is None and not result.ok and _has_account(provider):
        result = failed("authentication", _SIGNS_IN, "not_supported")
    if is_refused(result):
        moved = _move(actor, provider, result, may_move=may_move)
        result = moved or result
    if with_call and result.is_untestable:
        # The proxy signs; the calls themselves are the test.
        result.stages = [replace(each, skipped=True) for each in result.stages]
        result.state = "healthy"
    if is_program(provider.api_format):
        pass
    elif not with_call:
        unasked(result)
    elif not result.ok:
        skip(result, "An earlier step failed.")
    else:
        _proxied_calls(provider, result, model)
    if not result.is_untestable:
        providers.record_test(
            provider, error=result.error, tried_key=result.key_id, actor=actor
        )
    return result


def _has_account(provider: Provider) -> bool:
    """Tell whether somebody signed in at the provider instead of entering a key."""
    rows = Account.objects.filter(provider_slug=provider.slug, deleted_at=None)
    return rows.filter(enabled=True, state=Account.State.OK).exists()


def _proxied_calls(provider: Provider, result: CheckResult, model: str) -> None:
    """Call through our own front door: priced, limited and recorded like any other."""
    rows = provider.models.filter(deleted_at=None, enabled=True)
    row = rows.filter(model_id=model).first() if model else None
    if row is None and not model:
        known = {each.model_id: each for each in rows}
        listed = [name for name in result.models if name in known] or list(known)
        ranked = chat_models(listed)
        row = known[ranked[0]] if ranked else None
    if row is None or not provider.enabled:
        skip(result, "The pool serves no such model here now: switch it on first.")
        return
    token = make_internal_token(
        settings.ROOTS.secret_key,
        key_id="",
        purpose="verify",
        clock=_CLOCK,
        model_row=row.pk,
    )
    own = Candidate(
        f"http://{settings.CONFIG.own_address}/v1", _PROXIED, allow_private=True
    )
    call_stages(Asker(own, Secret(token.reveal())), result, [row.model_id])


# Other addresses


def allowed_alternates(provider: Provider, *, may_move: bool) -> list[str]:
    """Return the other addresses this provider's keys may be tried at.

    Shapes:  those the catalogue listed when it was saved; with ``may_move`` the
             vendor's other sites too.
    """
    if provider.detected_base_url:
        return []  # it is on an alternate already
    here = provider.base_url
    known = [str(url) for url in provider.alternate_base_urls]
    if may_move:
        known += twins_of(here)
    return [url for url in dict.fromkeys(known) if url != here]


def _move(
    actor: Actor, provider: Provider, result: CheckResult, *, may_move: bool
) -> CheckResult | None:
    """Try the other addresses with the key that was refused; remember who took it."""
    key = provider.api_keys.filter(pk=result.key_id or 0).first()
    others = allowed_alternates(provider, may_move=may_move)
    if key is None or not others:
        return None
    try:
        secret = secrets.open_for(key, "secret")
    except UnreadableSecretError:
        return None
    winner = try_alternates(
        candidate_of(provider),
        Secret(secret.reveal()),
        others,
        formats=_formats(provider),
    )
    if winner is None:
        return None
    remember_endpoint(actor, provider, winner, key)
    return moved_result(winner, key.pk)


def moved_result(winner: Winner, key_id: int | None = None) -> CheckResult:
    """Return the result of a test that passed at another address."""
    words = f"The key is accepted at {winner.base_url}, which is used from now on."
    return CheckResult(
        stages=[
            Stage("connectivity", True, "The provider answers."),
            Stage("authentication", True, words),
            Stage("provider", True, f"{len(winner.models)} models listed."),
        ],
        models=list(winner.models),
        key_id=key_id,
        base_url=winner.base_url,
        api_format=winner.api_format,
    )


@one_change
def remember_endpoint(
    actor: Actor,
    provider: Provider,
    winner: Winner,
    key: ApiKey,
    *,
    clock: Clock = _CLOCK,
) -> None:
    """Send calls to the address that took the key, and bind that key to it.

    Other keys of the provider are parked: nobody said that they belong there.
    """
    provider.refresh_from_db()
    before = {"endpoint": effective_base_url(provider)}
    provider.detected_base_url = winner.base_url
    provider.detected_format = winner.api_format
    provider.format_mode = Provider.FormatMode.AUTO
    provider.updated_at = clock.now()
    provider.save(
        update_fields=[
            "detected_base_url",
            "detected_format",
            "format_mode",
            "updated_at",
        ]
    )
    key.refresh_from_db()
    secret = secrets.open_for(key, "secret")
    key.origin = origin_of(winner.base_url)
    secrets.seal_for(key, "secret", secret.reveal())
    key.state = ApiKey.State.OK
    key.save(update_fields=["origin", "secret", "enc_kid", "state"])
    parked = providers.park_keys(provider)
    version.bump(provider, key, *parked)
    audit.record(
        actor,
        "provider.endpoint_moved",
        provider,
        before=before,
        after={"endpoint": winner.base_url, "key": key.mask},
    )


def _formats(provider: Provider) -> tuple[str, ...]:
    names = [provider.api_format, *provider.other_formats]
    return tuple(dict.fromkeys(str(name) for name in names))
