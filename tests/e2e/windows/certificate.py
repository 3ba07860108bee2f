"""A certificate like the one that New-SelfSignedCertificate makes: self-signed, and not an authority."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def self_signed(folder: Path, *names: str) -> tuple[Path, Path, bytes]:
    """The certificate and its key as PEM files, and the certificate's SHA-256, to which a sign-in is bound."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    started = datetime.now(UTC) - timedelta(minutes=10)
    uses = ["content_commitment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"]
    unused = dict.fromkeys([*uses, "encipher_only", "decipher_only"], False)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(started)
        .not_valid_after(started + timedelta(days=365))
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_encipherment=True, **unused),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, SHA256())
    )
    certificate, private = folder / "winrm.pem", folder / "winrm.key"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private, made.fingerprint(SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
