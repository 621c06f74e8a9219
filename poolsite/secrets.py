"""Know every encrypted column, and be the only way to write and read one.

Each app names its columns in a module ``encrypted_fields`` (or in its
``AppConfig.ready``) by calling ``register``. Rotation, the boot check and the count
of unreadable values walk this registry, so a column outside it would be forgotten:
a system check refuses models that have one.

Which key seals is a row (``EncryptionKey`` in state primary), not the order of the
configured keys: the moment a rotation moves it, every process seals with the new key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db import models
from django.utils.module_loading import autodiscover_modules

from poolsite.crypto import KeyRing, Secret, secret_context
from poolsite.models import EncryptionKey

_OUR_APPS: Final = ("poolsite", "providers", "usage", "pricing", "oauth")
_LOOKS_SECRET: Final = re.compile(
    r"(^|_)(secret|token|password|passphrase|ciphertext|private_key|api_key)$"
)
_LOOKS_LIKE_KID: Final = re.compile(r"(^|_)kid$")


@dataclass(frozen=True, slots=True)
class EncryptedField:
    """One encrypted column and how its rows are bound.

    Shapes: model_label is ``app.Model``; context_of names the row's own place, by
        default table, primary key and column; origin_of gives ``scheme://host:port``
        the secret may be sent to, None when it is never sent; state_column, when
        given, is set to ``unreadable`` by the survey.
    """

    model_label: str
    column: str
    kid_column: str
    context_of: Callable[[Any], str] | None = None
    origin_of: Callable[[Any], str | None] | None = None
    state_column: str | None = None

    @property
    def name(self) -> str:
        """The field's name in reports: ``providers.ApiKey.secret``."""
        return f"{self.model_label}.{self.column}"

    @property
    def model(self) -> type[models.Model]:
        """The model class."""
        return apps.get_model(self.model_label)

    def rows(self) -> models.QuerySet[models.Model]:
        """All rows that hold a ciphertext here."""
        return self.model._default_manager.exclude(**{self.column: ""})

    def context(self, row: models.Model) -> str:
        """Return what the row's ciphertext is bound to."""
        if self.context_of is not None:
            return self.context_of(row)
        if row.pk is None:
            raise ValueError("Save the row before sealing: the secret binds to its id.")
        return secret_context(self.model_label.lower(), row.pk, self.column)

    def origin(self, row: models.Model) -> str | None:
        """Return the address the row's secret may be sent to."""
        return self.origin_of(row) if self.origin_of is not None else None


_registry: dict[tuple[str, str], EncryptedField] = {}
_exempt: set[tuple[str, str]] = set()
_discovered = False


def register(*fields: EncryptedField) -> None:
    """Add encrypted columns to the registry; registering one again replaces it."""
    for field in fields:
        _registry[(field.model_label.lower(), field.column)] = field


def exempt(model_label: str, column: str, *, because: str) -> None:
    """Say that a column with a secret-looking name holds none, and why.

    Errors: ValueError without a reason.
    """
    if not because:
        raise ValueError("An exemption states its reason.")
    _exempt.add((model_label.lower(), column))


def fields() -> tuple[EncryptedField, ...]:
    """Return every registered column, in a stable order."""
    _discover()
    return tuple(_registry[key] for key in sorted(_registry))


def field_of(row: models.Model, column: str) -> EncryptedField:
    """Return the registered column of a row.

    Errors: LookupError when nobody registered it: such a secret could not be rotated.
    """
    _discover()
    try:
        return _registry[(row._meta.label_lower, column)]
    except KeyError as exc:
        raise LookupError(f"{row._meta.label}.{column} is not registered.") from exc


def ring() -> KeyRing:
    """Return the key ring of this process."""
    return _ring(tuple(settings.ROOTS.encryption_keys))


def primary_kid() -> str:
    """Return the id of the key that seals; one query.

    Shapes: the rotation's choice when this process holds that key, else the first
        configured key.
    """
    kid = (
        EncryptionKey.objects.filter(state=EncryptionKey.State.PRIMARY)
        .values_list("kid", flat=True)
        .first()
    )
    return kid if kid in ring().kids else ring().primary_kid


def seal_for(row: models.Model, column: str, plaintext: str | Secret) -> None:
    """Encrypt a secret into the row's columns; the caller saves the row.

    Errors: LookupError for an unregistered column; ValueError for an unsaved row
        whose secret binds to its id.
    Cost:   one query.
    """
    field = field_of(row, column)
    text = plaintext.reveal() if isinstance(plaintext, Secret) else plaintext
    sealed = ring().seal(
        text,
        context=field.context(row),
        origin=field.origin(row),
        kid=primary_kid(),
    )
    setattr(row, field.column, sealed.token)
    setattr(row, field.kid_column, sealed.kid)


def open_for(row: models.Model, column: str) -> Secret:
    """Decrypt a row's secret; it carries the origin it may be sent to.

    Errors: UnreadableSecretError with its kind, whose text fits any screen;
        LookupError for an unregistered column.
    Cost:   about 10 us, no query.
    """
    return open_field(field_of(row, column), row)


def open_field(field: EncryptedField, row: models.Model) -> Secret:
    """Decrypt one registered column of a row.

    Errors: UnreadableSecretError.
    """
    return ring().open(
        getattr(row, field.column),
        context=field.context(row),
        origin=field.origin(row),
        kid=getattr(row, field.kid_column) or None,
    )


@checks.register
def check_registry(**_: Any) -> list[checks.CheckMessage]:
    """Refuse a model of ours with a secret-looking column outside the registry."""
    _discover()
    return [
        checks.Error(
            f"{model._meta.label}.{column} looks like a secret but is not registered.",
            hint="Call poolsite.secrets.register in the app's encrypted_fields module.",
            obj=model,
            id="poolsite.E001",
        )
        for app in _OUR_APPS
        if apps.is_installed(app) or apps.is_installed(f"{app}.apps")
        for model in apps.get_app_config(app).get_models()
        for column in unregistered_columns(model)
    ]


def unregistered_columns(model: type[models.Model]) -> Iterable[str]:
    """Yield the columns of a model that look secret and are not accounted for."""
    label = model._meta.label_lower
    kids = {f.kid_column for f in _registry.values() if f.model_label.lower() == label}
    for column in model._meta.concrete_fields:
        if not isinstance(column, models.CharField | models.TextField | models.BinaryField | models.JSONField):  # fmt: skip
            continue
        known = (label, column.name) in _registry or (label, column.name) in _exempt
        if _LOOKS_SECRET.search(column.name) and not known:
            yield column.name
        if (
            _LOOKS_LIKE_KID.search(column.name)
            and column.name not in kids
            and not known
        ):
            yield column.name


def _discover() -> None:
    global _discovered
    if not _discovered:
        _discovered = True
        autodiscover_modules("encrypted_fields")


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> KeyRing:
    return KeyRing(keys)
