"""Lead one vendor through a sign-in against the fake issuer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from oauth import client, flow
from oauth.vendors.base import Grant, Progress, Randoms, Vendor, VendorSettings
from oauth.vendors.registry import vendor_of
from poolsite.clock import ManualClock
from poolsite.egress_control import ControlClient, Vetter
from tests.vendors.issuer import NOW_S, Issuer
from tests.vendors.issuer_shapes import lay_out, values_of


class Way:
    """A vendor, its issuer and the network between them."""

    def __init__(
        self,
        vendor: Vendor,
        issuer: Issuer,
        settings: VendorSettings,
        http: ControlClient,
    ) -> None:
        self.vendor = vendor
        self.issuer = issuer
        self.settings = settings
        self.http = http
        self.clock = ManualClock()
        self.randoms: Randoms = flow.new_randoms()

    def steps(self, progress: Progress) -> Progress:
        """Go on until it waits or is done."""
        return client.take_steps(
            self.http, self.vendor, self.settings, progress, clock=self.clock
        )

    def device(self) -> Progress:
        """Begin by device, up to the first wait."""
        return self.steps(self.vendor.start_device(self.settings, self.randoms))

    def browser(self) -> Progress:
        """Go through the browser's part and stand before the exchange."""
        url = self.vendor.authorize_url(self.settings, self.randoms)
        sent = parse_qs(urlsplit(url).query)
        code = self.issuer.code_for(sent["code_challenge"][0])
        came = f"{self.settings['redirect_url']}?code={code}&state={sent['state'][0]}"
        found = flow.read_callback(
            came,
            state=self.randoms.state,
            redirect_url=self.settings["redirect_url"],
        )
        return self.vendor.start_exchange(self.settings, self.randoms, found)

    def refresh(self, refresh_token: str, **extra: str) -> Grant:
        """Refresh once."""
        ask = self.vendor.refresh(self.settings, refresh_token, extra)
        reply = client.send(self.http, self.settings, ask)
        return self.vendor.read_grant(
            reply.status, reply.headers, reply.body, now_s=NOW_S
        )


@contextmanager
def way(vendor_id: str, *, read_timeout_s: float = 5, **values: str) -> Iterator[Way]:
    """Open a vendor's way to its fake issuer."""
    with Issuer() as issuer:
        found = {**lay_out(vendor_id, issuer), **values}
        settings = values_of(vendor_id, **found)
        vetter = Vetter([urlsplit(issuer.root).netloc])
        with ControlClient(vetter, read_timeout_s=read_timeout_s) as http:
            yield Way(vendor_of(vendor_id), issuer, settings, http)


def grant_of(progress: Progress) -> Grant:
    """Return the grant of a finished sign-in."""
    assert progress.is_done
    assert progress.grant is not None
    return progress.grant
