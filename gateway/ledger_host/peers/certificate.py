"""The peer listener's certificate, which is the gateway's own.

Nobody checks who issued it: the handshake binds the node's key to the very certificate that was seen.
"""

import ssl

from gateway.broker.certificates import CertificateFolder
from gateway.broker.tls import server_context
from gateway.clock import Clock
from gateway.errors import BrokerError
from gateway.ledger_host.peers.seams import ListenerCertificate
from gateway.settings import Home
from ledger.crypto.hashing import sha256

_END = "-----END CERTIFICATE-----"
_BEGIN = "-----BEGIN CERTIFICATE-----"


def load_certificate(home: Home, owner: str, host: str, clock: Clock) -> ListenerCertificate:
    """Return the gateway's own certificate, made where there is none; raises `BrokerError`."""
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
