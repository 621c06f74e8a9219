"""A person who looks at the overview while the proxy is busy."""

from __future__ import annotations

import re
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from threading import Event

from bench.tools import BenchError
from tests.rig.product import Product

EMAIL, PASSWORD = "bench@example.com", "a-long-bench-passphrase-7"
LOGIN_PATH = "/accounts/login/"


class ConsoleUser:
    """One signed-in browser session without a browser."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.pages = 0
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def sign_in(self) -> None:
        """Create the owner and sign in. Errors: BenchError."""
        arguments = ("user", "create", EMAIL, "--role", "owner")
        self.product.pool(*arguments, stdin=PASSWORD + "\n")
        page = self._get(LOGIN_PATH)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        if token is None:
            raise BenchError("the login page has no form")
        form = {
            "csrfmiddlewaretoken": token[1],
            "login": EMAIL,
            "password": PASSWORD,
        }
        request = urllib.request.Request(
            self.product.root + LOGIN_PATH,
            urllib.parse.urlencode(form).encode(),
            {"referer": self.product.root + LOGIN_PATH},
        )
        with self._opener.open(request, timeout=10) as reply:
            if LOGIN_PATH in reply.url:
                raise BenchError("signing in failed")

    def reload_until(self, stop: Event) -> None:
        """Load the overview once a second until told to stop."""
        while not stop.wait(1.0):
            self._get("/")
            self.pages += 1

    def _get(self, path: str) -> str:
        with self._opener.open(self.product.root + path, timeout=10) as reply:
            text: str = reply.read().decode()
        return text
