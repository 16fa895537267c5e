"""The peer listener's settings, with the gateway's own certificate where TLS is on.

Nobody checks who issued it: the handshake binds the node's key to the very certificate that was seen.
"""

import ssl

from gateway.broker.certificates import CertificateFolder
from gateway.broker.tls import server_context
from gateway.clock import Clock
from gateway.errors import BrokerError
from gateway.ledger_host.peers.addresses import parse_peer
from gateway.ledger_host.peers.listener import ListenerCertificate
from gateway.ledger_host.peers.seams import PeerSettings
from gateway.settings import Home, Settings, parse_listen
from ledger.crypto.hashing import sha256

_END = "-----END CERTIFICATE-----"
_BEGIN = "-----BEGIN CERTIFICATE-----"


def peer_settings(home: Home, settings: Settings, clock: Clock) -> PeerSettings:
    """Return what `[ledger]` says; raises `SettingsError` or `BrokerError` with one line."""
    section = settings.ledger
    listen = parse_listen(section.listen) if section.listen else None
    certificate = None
    if listen is not None and section.tls:
        certificate = _load_certificate(home, settings.name, listen[0], clock)
    peers = tuple(parse_peer(one) for one in section.peers)
    return PeerSettings(listen, peers, section.tls, certificate)


def _load_certificate(home: Home, owner: str, host: str, clock: Clock) -> ListenerCertificate:
    folder = CertificateFolder(home.certificates)
    if not folder.server.exists():
        folder.ensure(owner, {host, "localhost"}, clock.now_ms())
    try:
        context = server_context(folder.server, None)
        text = folder.server.read_text()
    except OSError as error:
        raise BrokerError(
            f"{folder.server}: cannot be used ({error.strerror or error}): move it away to have it "
            "made anew"
        ) from None
    start = text.index(_BEGIN)
    der = ssl.PEM_cert_to_DER_cert(text[start : text.index(_END, start) + len(_END)])
    return ListenerCertificate(context, sha256(der))
