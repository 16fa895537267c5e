"""Which addresses a broker listens on, with the certificates that belong to them."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Collection
from dataclasses import dataclass

from gateway.broker.certificates import CertificateFolder
from gateway.broker.endpoints import Endpoint
from gateway.broker.tls import server_context
from gateway.clock import Clock
from gateway.discovery.interfaces import find_addresses
from gateway.errors import BrokerError, GatewayError
from gateway.settings import BrokerSection, Home, parse_listen

logger = logging.getLogger(__name__)

RENEWAL_CHECK_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Certificates:
    """The certificate of a broker's TLS listeners; clients that connect later see a new one."""

    folder: CertificateFolder
    context: ssl.SSLContext
    owner: str
    extra_names: tuple[str, ...]

    async def keep_fresh(self, clock: Clock) -> None:
        """Renew the certificate before it expires, until cancelled."""
        while True:
            await asyncio.sleep(RENEWAL_CHECK_S)
            try:
                if self.folder.ensure(self.owner, own_names(self.extra_names), clock.now_ms()):
                    self.context.load_cert_chain(self.folder.server)
                    logger.info("the broker has a new certificate")
            except (GatewayError, OSError) as error:
                logger.error("the certificate is not renewed: %s", error)  # noqa: TRY400 - one line


def own_names(extra: Collection[str] = ()) -> set[str]:
    """Return the names and addresses by which clients may know this machine."""
    local = {"localhost", "127.0.0.1", "::1"}
    name = socket.gethostname()
    if name and name.isascii():  # only such a name can stand in a certificate
        local |= {name, f"{name}.local"}
    return local | set(find_addresses()) | set(extra)


def open_certificates(home: Home, owner: str, section: BrokerSection, clock: Clock) -> Certificates:
    """Make what is missing and load it; raises `BrokerError`."""
    folder = CertificateFolder(home.certificates)
    folder.ensure(owner, own_names(section.certificate_names), clock.now_ms())
    is_required = section.client_certificates == "required"
    try:
        context = server_context(folder.server, folder.authority if is_required else None)
    except OSError as error:
        raise BrokerError(
            f"{folder.server}: cannot be used ({error.strerror or error}): move it away to have it "
            "made anew"
        ) from None
    return Certificates(folder, context, owner, section.certificate_names)


def build_endpoints(
    section: BrokerSection, context: ssl.SSLContext | None, *, port_min: int = 1
) -> tuple[Endpoint, ...]:
    """Return the endpoints of `[broker]`, the plain one first; `context` is for those with TLS."""
    endpoints = [Endpoint(*parse_listen(section.listen, port_min=port_min))]
    for listen, is_websocket, tls in (
        (section.tls, False, context),
        (section.websocket, True, None),
        (section.websocket_tls, True, context),
    ):
        if listen is not None:
            host, port = parse_listen(listen, port_min=port_min)
            origins = section.origins if is_websocket else ()
            endpoints.append(Endpoint(host, port, is_websocket, origins, tls))
    return tuple(endpoints)


def needs_certificates(section: BrokerSection) -> bool:
    """Tell whether a listener uses TLS."""
    return section.tls is not None or section.websocket_tls is not None
