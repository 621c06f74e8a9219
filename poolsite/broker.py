"""The file-system broker of the embedded product, with messages that appear whole.

kombu opens a message's file under its final name and writes it afterwards: a reader that
is quick enough takes an empty file, cannot decode it, and its worker dies. Here a message
is written under a name nobody looks for and then renamed.

Source: kombu 5.6, ``transport/filesystem.py``; ``_put`` is covered by a test.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from time import monotonic
from typing import Any, Final

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

SCHEME: Final = "poolfile"


class Channel(filesystem.Channel):
    """Put messages into the folder in one step."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override] # kombu's own channels differ
        name = f"{round(monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        folder = Path(self.data_folder_out)
        hidden = folder / f".{uuid.uuid4()}"
        hidden.write_text(dumps(payload))
        os.replace(hidden, folder / name)


class Transport(filesystem.Transport):
    """The transport of ``poolfile://``."""

    Channel = Channel


TRANSPORT_ALIASES[SCHEME] = "poolsite.broker:Transport"
