"""Count what a page asks of the database."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

_SETTING = "SET LOCAL"


class Asked(CaptureQueriesContext):
    """The queries of a block, without settings of a transaction: those read no row."""

    def __init__(self) -> None:
        super().__init__(connection)

    def __len__(self) -> int:
        told = self.captured_queries
        return sum(not query["sql"].startswith(_SETTING) for query in told)
