"""Hosts at which no call ever arrives: nobody there, no name, no trust."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.rig.ports import closed_port


class Impostor:
    """A TLS server with a certificate nobody signed; ``heard`` is what it was told."""

    def __init__(self) -> None:
        self.heard = b""

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Keep whatever arrives inside the encryption."""
        self.heard += await reader.read()
        writer.close()


@dataclass(frozen=True)
class DeadHosts:
    """Base URLs by the name of the fault, and the host that listens."""

    urls: dict[str, str]
    impostor: Impostor


@asynccontextmanager
async def dead_hosts() -> AsyncIterator[DeadHosts]:
    """Open, on loopback, what a call may run into before it arrives anywhere."""
    false = Impostor()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="pool-tls-") as name:
        path = Path(name) / "self-signed.pem"
        path.write_bytes(_self_signed())
        context.load_cert_chain(path)
    untrusted = await asyncio.start_server(false.serve, "127.0.0.1", 0, ssl=context)
    async with untrusted:
        port = untrusted.sockets[0].getsockname()[1]
        urls = {
            "refused": f"http://127.0.0.1:{closed_port()}/v1",
            # A name that is never given to anybody (RFC 2606).
            "DNS": "https://nobody.invalid:443/v1",
            "TLS": f"https://127.0.0.1:{port}/v1",
        }
        yield DeadHosts(urls, false)


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
