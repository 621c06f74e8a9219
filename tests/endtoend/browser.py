"""Use the console as a browser without JavaScript does: cookies, forms, redirects."""

from __future__ import annotations

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_TIMEOUT_S = 20


class Browser:
    """One person at the console of a running product."""

    def __init__(self, root: str) -> None:
        self.root = root
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def get(self, path: str) -> str:
        """Open a page and return it. Errors: urllib.error.HTTPError."""
        with self._opener.open(self.root + path, timeout=_TIMEOUT_S) as reply:
            return str(reply.read().decode())

    def submit(self, path: str, *, page: str = "", **fields: str) -> str:
        """Fill in the form of a page (by default the one of the path) and send it."""
        found = _TOKEN.search(self.get(page or path))
        assert found is not None, f"no form on {page or path}"
        data = urllib.parse.urlencode({"csrfmiddlewaretoken": found[1], **fields})
        request = urllib.request.Request(
            self.root + path, data.encode(), {"referer": self.root + (page or path)}
        )
        with self._opener.open(request, timeout=_TIMEOUT_S) as reply:
            return str(reply.read().decode())

    def status_of_post(self, path: str) -> int:
        """Send a form without its hidden field and return the status."""
        request = urllib.request.Request(self.root + path, b"x=1")
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as exc:
            return exc.code

    def sign_in(self, email: str, password: str) -> None:
        """Sign in with a password."""
        self.submit("/accounts/login/", login=email, password=password)
