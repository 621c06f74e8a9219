"""Find the program a provider names on this machine."""

from __future__ import annotations

import os
import shutil


def find_program(executable: str, program: str) -> str | None:
    """Return the path of a program: the one named, else by its own name on PATH.

    Shapes:  ``executable`` is absolute, or a bare name to be found on PATH.
    """
    wanted = executable or program
    if os.sep in wanted and not os.path.isabs(wanted):
        return None
    found = shutil.which(wanted)
    return found if found is None else os.path.abspath(found)
