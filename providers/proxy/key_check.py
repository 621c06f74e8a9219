"""Tell whether the encryption keys at hand open what the snapshot holds."""

from __future__ import annotations

import logging
from typing import Final

from poolsite.crypto import KeyRing, UnreadableKind, UnreadableSecretError
from providers.snapshot.view import Snapshot

_TRIED_CREDENTIALS: Final = 5
_log: Final = logging.getLogger("providers.proxy")


class KeyCheck:
    """Look at each snapshot once."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._told: tuple[int, bool] = (-1, False)

    def fits(self, snapshot: Snapshot) -> bool:
        """Tell whether these are the keys the secrets were encrypted with.

        A single damaged secret is that secret's trouble; a few that were all made
        with a key that is not here mean that the wrong keys were loaded.
        """
        if self._told[0] == snapshot.version:
            return self._told[1]
        tried = unknown = 0
        for record in snapshot.some_credentials(_TRIED_CREDENTIALS):
            tried += 1
            try:
                self._ring.open(
                    record.token, context=record.context, origin=record.origin
                )
            except UnreadableSecretError as error:
                unknown += error.kind is UnreadableKind.UNKNOWN_KEY
        fits = unknown == 0 or unknown < tried
        if not fits:
            _log.error("encryption_keys_do_not_fit")
        self._told = (snapshot.version, fits)
        return fits
