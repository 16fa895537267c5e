"""The ledger's side of the order commitment: asks the SmartAgent for the next layer."""

from gateway.errors import AgentError
from gateway.smart_agent.client import AgentClient
from ledger.errors import SignerError


class AgentOnionKeeper:
    """`ledger.ports.OnionKeeper`."""

    def __init__(self, client: AgentClient) -> None:
        self._client = client

    def reveal(self, commitment: bytes) -> bytes:
        """Return the 32 bytes whose SHA-256 is `commitment`; raises `SignerError`."""
        try:
            return self._client.reveal_onion(commitment)
        except AgentError as error:
            raise SignerError(str(error)) from None
