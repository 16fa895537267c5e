"""The agent's metering requests, for the gateway and the command line."""

from gateway.errors import AgentError
from gateway.metering.ecdsa import Curve
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.messages import Signed
from gateway.smart_agent.metering_messages import (
    AskOcmfKey,
    AskPage,
    NewestPage,
    NotePage,
    OcmfKey,
    OcmfSigned,
    SignMeasurement,
    SignOcmf,
)

_OTHER_KIND = "the SmartAgent gave an answer of another kind: update it"


class MeteringClient:
    """Asks through a client; every method raises `AgentError`."""

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent

    def newest_page(self, device_id: bytes) -> NewestPage:
        """Return the newest page that was signed of a device's meter."""
        answer = self._agent.ask(AskPage(device_id))
        if not isinstance(answer, NewestPage):
            raise AgentError(_OTHER_KIND)
        return answer

    def note_page(self, record: bytes) -> NewestPage:
        """Show a page that the agent signed and may have forgotten; return the newest page."""
        answer = self._agent.ask(NotePage(record))
        if not isinstance(answer, NewestPage):
            raise AgentError(_OTHER_KIND)
        return answer

    def sign(self, payload: bytes) -> bytes:
        """Return the metering key's signature over the next page."""
        answer = self._agent.ask(SignMeasurement(payload))
        if not isinstance(answer, Signed):
            raise AgentError(_OTHER_KIND)
        return answer.signature

    def write_ocmf(self, records: tuple[bytes, ...], curve: Curve) -> str:
        """Return the OCMF text of own signed records."""
        answer = self._agent.ask(SignOcmf(curve, records))
        if not isinstance(answer, OcmfSigned):
            raise AgentError(_OTHER_KIND)
        return answer.text

    def ocmf_key(self, curve: Curve) -> bytes:
        """Return the DER public key of a curve."""
        answer = self._agent.ask(AskOcmfKey(curve))
        if not isinstance(answer, OcmfKey):
            raise AgentError(_OTHER_KIND)
        return answer.public_der
