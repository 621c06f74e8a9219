"""The product's settings in a directory of their own, made for this test run.

pytest loads settings before any ``conftest.py``, so the directory is chosen here. A
test that starts a process gives it a directory of its own.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_directory = tempfile.mkdtemp(prefix="pool-test-")
_owner = os.getpid()


def _remove() -> None:
    if os.getpid() == _owner:  # a forked child leaves it alone
        shutil.rmtree(_directory, ignore_errors=True)


atexit.register(_remove)
os.environ["POOL_DATA_DIR"] = _directory
# Nothing a test starts asks the internet for prices; a test that means to says so.
os.environ["POOL_CATALOGUE_REFRESH"] = "off"

from poolsite.settings import *  # noqa: E402, F403 - after the directory is chosen
from poolsite.settings import DATABASES  # noqa: E402

# A file, as in the product: threads of a live server have connections of their own.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(_directory, "test.sqlite3")}
# Argon2 is slow on purpose; no test here is about that.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Found where they are written: what collectstatic makes of them is another test's
# business. A live server and the middleware both find them so.
STATIC_ROOT = os.path.join(_directory, "static")
os.makedirs(STATIC_ROOT, exist_ok=True)
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = True
