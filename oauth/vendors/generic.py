"""Any issuer that keeps to OpenID Connect, by the operator's settings."""

from __future__ import annotations

from oauth.vendors.base import Knob, Method
from oauth.vendors.discovered import Discovered


class Generic(Discovered):
    """Sign-ins at an issuer of the operator's choice."""

    id = "generic"
    name = "OpenID Connect"
    methods: tuple[Method, ...] = ("device", "pkce", "import")
    has_device_proof = True
    sends_nonce = True
    knobs = (
        Knob(name="client_id", is_required=True),
        Knob(name="client_secret", is_secret=True),
        Knob(name="scope", default="openid profile email offline_access"),
        Knob(name="issuer_url", is_required=True),
        Knob(name="authorize_url"),
        Knob(name="device_url"),
        Knob(name="token_url"),
        Knob(name="redirect_url", default="http://localhost:8976/callback"),
    )
