"""Keep the operator's settings of a vendor: rows ``oauth.<vendor>.<name>``.

A client secret is sealed and never shown again; whatever is not set has the default of
the vendor's module.
"""

from __future__ import annotations

from typing import Final

from oauth.vendors.base import Knob, Vendor, VendorSettings
from poolsite import audit, secrets
from poolsite.actor import Actor
from poolsite.change import one_change
from poolsite.columns import is_plain
from poolsite.destinations import EgressRefusedError, parse_url
from poolsite.models import Setting

ALLOW_PRIVATE: Final = "allow_private"
_LONGEST: Final = 2_000


class VendorSettingError(ValueError):
    """A setting is refused; ``field`` names it."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


def key_of(vendor: Vendor, name: str) -> str:
    """Return the key of a vendor's row."""
    return f"oauth.{vendor.id}.{name}"


def settings_of(vendor: Vendor) -> VendorSettings:
    """Return the settings in force.

    Errors: UnreadableSecretError when a sealed one cannot be opened.
    Cost:   one query.
    """
    own = _own_values(vendor)
    is_private = own.pop(ALLOW_PRIVATE, "") == "yes"
    values = {
        knob.name: own.get(knob.name, "") or knob.default for knob in vendor.knobs
    }
    places = [parse_url(each) for name, each in own.items() if name.endswith("_url")]
    pairs = frozenset((place.host, place.port) for place in places if is_private)
    return VendorSettings(values=values, allow_private=pairs)


def missing(vendor: Vendor, settings: VendorSettings) -> list[str]:
    """Return the required settings that are not set."""
    return [
        knob.name
        for knob in vendor.knobs
        if knob.is_required and not settings[knob.name]
    ]


@one_change
def change_setting(actor: Actor, vendor: Vendor, name: str, value: str) -> None:
    """Set one value; blank goes back to the default.

    Errors: VendorSettingError for an unknown name or a value that cannot be used.
    """
    knob = _knob(vendor, name)
    text = value.strip()
    _check(knob, text)
    row, _ = Setting.objects.get_or_create(key=key_of(vendor, name))
    before = None if row.secret else row.value
    row.secret = knob.is_secret
    row.value, row.ciphertext, row.enc_kid = None, "", ""
    if knob.is_secret and text:
        secrets.seal_for(row, "ciphertext", text)
    elif not knob.is_secret:
        row.value = text
    row.save()
    told = ("set" if text else "removed") if knob.is_secret else text
    audit.record(
        actor,
        "oauth_setting.change",
        row,
        before={"value": before},
        after={"value": told},
    )


def _knob(vendor: Vendor, name: str) -> Knob:
    if name == ALLOW_PRIVATE:
        return Knob(name=name)
    for knob in vendor.knobs:
        if knob.name == name:
            return knob
    raise VendorSettingError("There is no such setting.", field=name)


def _check(knob: Knob, text: str) -> None:
    if len(text) > _LONGEST or not is_plain(text):
        raise VendorSettingError("This value cannot be used.", field=knob.name)
    if knob.name == ALLOW_PRIVATE and text not in {"", "yes"}:
        raise VendorSettingError("It is yes or blank.", field=knob.name)
    if text and knob.name.endswith("_url"):
        try:
            parse_url(text)
        except EgressRefusedError as exc:
            raise VendorSettingError(str(exc), field=knob.name) from exc


def _own_values(vendor: Vendor) -> dict[str, str]:
    prefix = key_of(vendor, "")
    found: dict[str, str] = {}
    for row in Setting.objects.filter(key__startswith=prefix):
        name = row.key.removeprefix(prefix)
        if row.secret and row.ciphertext:
            found[name] = secrets.open_for(row, "ciphertext").reveal()
        elif isinstance(row.value, str) and row.value:
            found[name] = row.value
    return found
