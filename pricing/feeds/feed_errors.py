"""What can be wrong with a source of prices, said to a person."""

from __future__ import annotations


class FeedError(ValueError):
    """Report an answer that is not what its source publishes.

    Shapes:  ``message`` is one sentence without anything of the answer in it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
