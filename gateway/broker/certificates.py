"""The gateway's own certificate authority, and what it issues: X.509 with P-256 keys.

    tls/authority.pem, authority.key    made once; clients trust the first
    tls/server.pem                      the listener's key and certificate, issued anew when due
    NAME.pem                            a client's key and certificate, its common name the user's

P-256 because devices' TLS libraries know it; Ed25519 many do not. Certificates are valid from a date
long past: a device without a clock must not refuse them. The only module that knows `cryptography`'s
X.509.
"""

import datetime as dt
import ipaddress
from collections.abc import Collection
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.errors import BrokerError
from gateway.settings import write_atomic, write_private

AUTHORITY_DAYS = 30 * 365  # as long as the gateway may live; devices keep it in their firmware
SERVER_DAYS = 397  # what clients accept at most
CLIENT_DAYS = 5 * 365
RENEW_DAYS = 30  # a server certificate with less left is issued anew
_VALID_FROM = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_CLOCK_FLOOR = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)  # no earlier date is believed
_NAME_LENGTH_MAX = 64  # of a common name (RFC 5280)


class CertificateFolder:
    """`secrets/tls` of a home folder; mode 0700."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def authority(self) -> Path:
        """The authority's certificate, to be given to clients."""
        return self._path / "authority.pem"

    @property
    def server(self) -> Path:
        """The listener's key and certificate in one file, so that they always fit; mode 0600."""
        return self._path / "server.pem"

    def ensure(self, owner: str, names: Collection[str], now_ms: int) -> bool:
        """Make what is missing; issue the server's certificate anew where it is due.

        It is due when it soon expires, or is not for all of `names` (host names and addresses).
        Tell whether it is new. Raises `BrokerError`.
        """
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.authority.exists():
                self._make_authority(owner, now_ms)
            is_due = not self.server.exists() or self._is_due(set(names), now_ms)
            if is_due:
                self._issue_server(owner, sorted(names), now_ms)
        except OSError as error:
            raise BrokerError(f"{self._path}: cannot be written: {error.strerror}") from None
        return is_due

    def issue_client(self, user: str, target: Path, now_ms: int) -> None:
        """Write a certificate for `user` and its key into one file; raises `BrokerError`."""
        if not 0 < len(user) <= _NAME_LENGTH_MAX:
            raise BrokerError(f"{user[:40]!r} cannot be the name in a certificate")
        if not self.authority.exists():
            raise BrokerError(f"{self.authority}: no such file: start the broker with TLS once")
        try:
            write_private(target, self._issue(user, now_ms, CLIENT_DAYS))
        except OSError as error:
            raise BrokerError(f"{target}: cannot be written: {error.strerror}") from None

    def _is_due(self, names: set[str], now_ms: int) -> bool:
        certificate = _load_certificate(self.server)
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        known = {str(name.value) for name in extension.value}
        return not names <= known or _days_left(certificate, now_ms) < RENEW_DAYS

    def _make_authority(self, owner: str, now_ms: int) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(f"Smartshare {owner}")
        certificate = (
            _builder(subject, subject, key.public_key(), now_ms, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        write_private(self._authority_key, _key_bytes(key))
        write_atomic(self.authority, certificate.public_bytes(serialization.Encoding.PEM))

    def _issue_server(self, owner: str, names: list[str], now_ms: int) -> None:
        alternative = x509.SubjectAlternativeName([_general_name(name) for name in names])
        write_private(self.server, self._issue(owner, now_ms, SERVER_DAYS, alternative))

    def _issue(
        self,
        name: str,
        now_ms: int,
        days: int,
        server_names: x509.SubjectAlternativeName | None = None,
    ) -> bytes:
        """Return a new key and its certificate as PEM."""
        authority, authority_key = _load_certificate(self.authority), self._load_authority_key()
        key = ec.generate_private_key(ec.SECP256R1())
        purpose = (
            ExtendedKeyUsageOID.SERVER_AUTH if server_names else ExtendedKeyUsageOID.CLIENT_AUTH
        )
        builder = (
            _builder(_subject(name), authority.subject, key.public_key(), now_ms, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
                critical=False,
            )
        )
        if server_names is not None:
            builder = builder.add_extension(server_names, critical=False)
        certificate = builder.sign(authority_key, hashes.SHA256())
        return _key_bytes(key) + certificate.public_bytes(serialization.Encoding.PEM)

    def _load_authority_key(self) -> ec.EllipticCurvePrivateKey:
        try:
            key = serialization.load_pem_private_key(self._authority_key.read_bytes(), None)
        except OSError as error:
            raise BrokerError(
                f"{self._authority_key}: cannot be read: {error.strerror}: restore it from a backup"
            ) from None
        except ValueError:
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise BrokerError(f"{self._authority_key}: not a key: restore it from a backup")
        return key

    @property
    def _authority_key(self) -> Path:
        return self._path / "authority.key"


def days_left(path: Path, now_ms: int) -> int:
    """Return for how many days a certificate is still valid; raises `BrokerError`."""
    return _days_left(_load_certificate(path), now_ms)


def _days_left(certificate: x509.Certificate, now_ms: int) -> int:
    now = dt.datetime.fromtimestamp(now_ms / 1_000, dt.UTC)
    return (certificate.not_valid_after_utc - now).days


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise BrokerError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise BrokerError(
            f"{path}: not a certificate: restore it from a backup, or move it away to have it made anew"
        ) from None


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now_ms: int,
    days: int,
) -> x509.CertificateBuilder:
    now = dt.datetime.fromtimestamp(now_ms / 1_000, dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(max(now, _CLOCK_FLOOR) + dt.timedelta(days=days))
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not name or not name.isascii():
        raise BrokerError(
            f"{name!r} cannot be a name in a certificate: write host names in ASCII (xn--...), or "
            "addresses"
        )
    return x509.DNSName(name)


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
