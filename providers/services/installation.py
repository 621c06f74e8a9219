"""Prove that the root secrets at hand are the ones this database was written with."""

from __future__ import annotations

from django.conf import settings

from poolsite import audit, rotation
from poolsite.crypto import Peppers
from poolsite.models import ApiToken
from usage.models import ClientKey


def root_problems() -> list[str]:
    """Say which root secrets are not this database's; nothing when all are.

    Cost: two queries a column of secrets, two for keys and tokens, and a walk along
        the audit chain.
    """
    found = []
    keys = rotation.check_keys()
    if not keys.is_ok:
        found.append(keys.reason)
    loaded = Peppers(settings.ROOTS.peppers).ids
    live_keys = ClientKey.objects.filter(revoked_at=None)
    live_tokens = ApiToken.objects.filter(revoked_at=None)
    lost = (
        live_keys.exclude(pepper_id__in=loaded).count()
        + live_tokens.exclude(pepper_id__in=loaded).count()
    )
    if lost:
        found.append(
            f"{lost} client keys and API tokens were made with a pepper that is not "
            "loaded; restore it in the key file or in POOL_PEPPERS."
        )
    broken = audit.verify_chain()
    if broken is not None:
        found.append(
            f"The audit chain breaks at event {broken}: it was changed, or the secret "
            "key is another one."
        )
    return found
