"""Hosts at which no call ever arrives: a closed port, a lost name, a false certificate."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.rig.ports import closed_port


def refusing() -> str:
    """Return a base URL where a connection is refused."""
    return f"http://127.0.0.1:{closed_port()}/v1"


def nameless() -> str:
    """Return a base URL whose name leads to no address (RFC 2606)."""
    return "https://nobody.invalid:443/v1"


class Impostor:
    """A TLS server with a certificate nobody signed; ``heard`` is what it was told."""

    def __init__(self) -> None:
        self.heard = b""
        self.base_url = ""

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Keep whatever arrives inside the encryption."""
        self.heard += await reader.read()
        writer.close()


@asynccontextmanager
async def impostor() -> AsyncIterator[Impostor]:
    """Listen on loopback under a self-signed certificate."""
    made = Impostor()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="pool-tls-") as name:
        path = Path(name) / "self-signed.pem"
        path.write_bytes(_self_signed())
        context.load_cert_chain(path)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        made.base_url = f"https://127.0.0.1:{port}/v1"
        yield made


def _self_signed() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
