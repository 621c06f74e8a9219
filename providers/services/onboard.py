"""Add a provider the careful way: try it first, save it only when it works.

The console's form, the setup wizard and the admin API share this one path.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.secret_type import Secret
from providers.catalogue import spec
from providers.discovery.alternates import is_refused, try_alternates, twins_of
from providers.discovery.asking import Asker, Candidate
from providers.discovery.check import CheckResult, Stage, candidate_of, failed
from providers.discovery.once import Flights, key_of
from providers.discovery.roots import normalise
from providers.discovery.stages import run_stages
from providers.formats.cli_backed.command import is_program
from providers.models import Provider, ProviderModel
from providers.services import credentials, discovery, models, providers
from providers.services.errors import ServiceError
from providers.services.proof import signer_of
from providers.services.trials import moved_result
from providers.services.verification import verify_candidate

FIND_OUT = "detect"
"""Stands in the place of a wire format: have it found out by asking."""

_trials: Flights[CheckResult] = Flights()


@dataclass
class NewProvider:
    """What a person entered.

    Shapes:  ``values`` are names of ``providers.EDITABLE``, where ``api_format`` may be
             ``FIND_OUT``; ``secrets`` are our keys; ``models`` are ids to add whether
             or not the provider lists them. ``with_call`` = three paid calls are wanted;
             ``may_move`` = the person allows the key at the vendor's other sites.
    """

    slug: str
    catalogue_id: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    with_call: bool = False
    may_move: bool = False


def try_new(new: NewProvider) -> CheckResult:
    """Try what was entered, with the first key; nothing is stored.

    The address is cut back where a whole endpoint was pasted, and the format is found
    out where that was asked for; both are written into ``new.values``.

    Fails:  never raises: what could not even be sent is a failed first stage.
    Cost:   one outbound request, more where a format is to be found, three paid calls
            where they were asked for; some 30 s a step of the three.
    """
    notes = _normalise(new)
    is_unknown = new.values.get("api_format") == FIND_OUT
    shown = {**new.values, "api_format": "openai"} if is_unknown else new.values
    try:
        draft = providers.draft(slug=new.slug, catalogue_id=new.catalogue_id, **shown)
        text = credentials.clean_secret(new.secrets[0]) if new.secrets else ""
    except ServiceError as exc:
        return failed("input", exc.message, "error")
    candidate = candidate_of(draft)
    secret = Secret(text) if text else None
    key = key_of(candidate, text, new.with_call, new.may_move, is_unknown, new.models)
    result = _trials.run(
        key, lambda: _try(candidate, secret, new, draft, is_unknown=is_unknown)
    )
    return replace(result, stages=[*notes, *result.stages, *_untried(new)])


def _untried(new: NewProvider) -> list[Stage]:
    """Say that further keys were not tried; a refused one shows with its first call."""
    count = len(set(new.secrets))
    if count < 2:
        return []
    words = f"Only the first of {count} keys was tried."
    return [Stage("other keys", False, words, skipped=True)]


def _try(
    candidate: Candidate,
    secret: Secret | None,
    new: NewProvider,
    draft: Provider,
    *,
    is_unknown: bool,
) -> CheckResult:
    notes: list[Stage] = []
    if is_unknown:
        found = verify_candidate(
            candidate, secret, model=new.models[0] if new.models else ""
        )
        if not found.ok:
            return failed(
                "format",
                "No endpoint of a known wire format was found at this address.",
                "not_supported",
                cure="Check the base URL, or choose the wire format yourself.",
            )
        candidate = replace(
            candidate,
            api_format=found.recommended_api_format,
            base_url=found.recommended_base_url,
            auth_scheme=found.auth_scheme or candidate.auth_scheme,
        )
        words = f"It speaks {candidate.api_format} at {candidate.base_url}."
        notes.append(Stage("format", True, words))
    asker = Asker(candidate, secret, sign=signer_of(candidate))
    model = new.models[0] if new.models else ""
    result = run_stages(asker, with_call=new.with_call, model=model)
    if is_refused(result) and secret is not None:
        result = _elsewhere(candidate, secret, draft, new) or result
    if is_unknown:
        result.api_format = result.api_format or candidate.api_format
        result.auth_scheme = candidate.auth_scheme
        result.entered_url = candidate.base_url
    result.stages = [*notes, *result.stages]
    return result


def _elsewhere(
    candidate: Candidate, secret: Secret, draft: Provider, new: NewProvider
) -> CheckResult | None:
    """Try a refused key at the provider's other addresses, where that is allowed."""
    others = [str(url) for url in draft.alternate_base_urls]
    if new.may_move:
        others += twins_of(candidate.base_url)
    formats = (candidate.api_format, *draft.other_formats)
    winner = try_alternates(
        candidate, secret, others, formats=formats, models=new.models
    )
    return None if winner is None else moved_result(winner)


@one_change
def save_new(
    actor: Actor, new: NewProvider, result: CheckResult | None, *, enabled: bool = True
) -> Provider:
    """Store the provider, its keys, and the models named or found by the trial.

    Errors:  ServiceError naming the field; then nothing is stored.
    """
    _normalise(new)
    values = dict(new.values)
    is_unknown = values.get("api_format") == FIND_OUT
    if is_unknown:
        values["api_format"] = (result.api_format if result else "") or "openai"
        if result is not None and result.entered_url:
            values["base_url"] = result.entered_url
            values["auth_scheme"] = result.auth_scheme
    provider = providers.create_provider(
        actor,
        slug=new.slug,
        catalogue_id=new.catalogue_id,
        enabled=enabled,
        **values,
    )
    if result is not None and (result.base_url or (is_unknown and result.api_format)):
        _remember(provider, result)
    for secret in new.secrets:
        credentials.add_key(actor, provider, secret)
    if new.models:
        models.add_models(actor, provider, new.models)
    if result is not None:
        if result.listed:
            discovery.keep_first(actor, provider, result.listed)
        if result.models:
            models.add_models(
                actor, provider, result.models, source=ProviderModel.Source.DISCOVERED
            )
        if not result.is_untestable:
            providers.record_test(provider, error=result.error, actor=actor)
    return provider


def _remember(provider: Provider, result: CheckResult) -> None:
    """Keep what the trial found before keys are bound to the provider's address."""
    provider.detected_base_url = result.base_url
    provider.detected_format = result.api_format
    provider.save(update_fields=["detected_base_url", "detected_format"])


def _normalise(new: NewProvider) -> list[Stage]:
    """Cut a pasted endpoint back to its base URL; return the note about it."""
    url = new.values.get("base_url")
    if not isinstance(url, str) or is_program(str(new.values.get("api_format", ""))):
        return []
    entry = spec.entries().get(new.catalogue_id)
    if entry is not None and url.rstrip("/") == entry.base_url.rstrip("/"):
        return []
    cut = normalise(url)
    if not cut.note:
        return []
    new.values["base_url"] = cut.base_url
    return [Stage("address", True, f"{cut.note} The base URL is {cut.base_url}.")]
