"""Certificates a host may show: of an authority nobody knows, expired, of another name."""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Papers:
    """What a certificate says.

    Units: days until it ends, counted from now; below 0 = it has expired.
    """

    address: str = "127.0.0.1"
    days: int = 30


class Authority:
    """Somebody who signs certificates; who trusts it decides."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("An authority of the tests")
        basic = x509.BasicConstraints(ca=True, path_length=0)
        builder = _builder(self._name, self._name, self._key.public_key(), 30)
        builder = builder.add_extension(basic, critical=True)
        self._own = builder.sign(self._key, hashes.SHA256())

    def issue(self, papers: Papers) -> bytes:
        """Return a private key and a certificate for it, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.IPAddress(ipaddress.ip_address(papers.address))
        builder = _builder(
            _name(papers.address), self._name, key.public_key(), papers.days
        )
        names = x509.SubjectAlternativeName([address])
        signed = builder.add_extension(names, critical=False).sign(
            self._key, hashes.SHA256()
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return private + signed.public_bytes(serialization.Encoding.PEM)

    def trusted(self) -> ssl.SSLContext:
        """Return the settings of a client that trusts this authority alone."""
        own = self._own.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=own)


def server_context(papers: bytes) -> ssl.SSLContext:
    """Return the settings of a server that shows these papers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="pool-tls-") as name:
        path = Path(name) / "papers.pem"
        path.write_bytes(papers)
        context.load_cert_chain(path)
    return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 60 * _DAY)
        .not_valid_after(now + days * _DAY)
    )
