"""How this node becomes an agent and comes back from jail: what is missing is said before anything is paid."""

from collections.abc import Collection

from gateway.app.amounts import format_ssp
from gateway.app.node_account import NodeAccount
from gateway.app.operator import Operator, check_applied
from gateway.app.wallet import WalletAccount
from gateway.errors import SettingsError
from gateway.model.ledger_api import AccountReply, IdentityReply, StatusReply
from gateway.model.stake_api import AgentReply, AgentsReply, ParametersReply
from gateway.settings import Home
from ledger.codec.text import format_address
from ledger.types.time_text import format_time_ms
from ledger.types.transaction import RegisterAgent, Transfer

FEES = 10_000  # base units: three transactions of some 1,500 each, and to spare


class Candidacy:
    """This node's way to a seat. Every method asks the running node; errors are one line."""

    def __init__(self, home: Home, operator: Operator) -> None:
        self._operator = operator
        self.account = NodeAccount(home, operator)
        self._wallet = WalletAccount(home, operator)
        self._node = self.account.keys.node

    def stand(self, bond: int, onion_generation: int) -> str:
        """Register the node where it is not, move what lacks to the bond, and stand; return the last id.

        Raises `SettingsError` before anything is sent where it could not succeed. What an earlier try
        moved to the node's account counts towards the bond.
        """
        self._check_bond(bond)
        held = self._balance(self._node)
        missing = max(0, bond - held)
        self._check_wallet(missing)
        self._register()
        onion = self.account.commit_onion(onion_generation)
        if missing:
            paid, _, _ = self._wallet.send(Transfer(self._node, missing))
            check_applied(paid, self._operator.wait_final(paid))
        return self.account.send(RegisterAgent(bond, onion))

    def check_stands(self) -> AgentReply:
        """Return this node's record as an agent; raises `SettingsError` where it is none."""
        found = self._find_own()
        if found is None:
            raise SettingsError(
                "this node does not stand for election: begin with `smartshare chain stand SSP`"
            )
        return found

    def check_no_onion_is_coming(self) -> None:
        """Raise `SettingsError` where this node is no agent, or its last commitment does not count yet.

        The SmartAgent opens its newest two onions alone: with two on their way nobody opens the one in use.
        """
        found = self.check_stands()
        if found.onion_next_epoch:
            raise SettingsError(
                f"this node's last commitment counts from epoch {found.onion_next_epoch} on: commit to another"
                " one then"
            )

    def check_jail_is_over(self) -> None:
        """Raise `SettingsError` where this node is not in jail, or must stay there."""
        found = self.check_stands()
        if found.jailed_until_ms is None:
            raise SettingsError(f"this node is not in jail: {found.standing}")
        left_ms = found.jailed_until_ms - self._operator.ask("status", {}, StatusReply).time_ms
        if left_ms > 0:
            until = format_time_ms(found.jailed_until_ms)
            raise SettingsError(
                f"this node is in jail until {until}, {-(-left_ms // 60_000)} min from the newest block:"
                " unjail it then"
            )

    def _find_own(self) -> AgentReply | None:
        agents = self._operator.ask("agents", {}, AgentsReply).agents
        return next((one for one in agents if one.node == self._node.hex()), None)

    def _check_bond(self, bond: int) -> None:
        own = self._find_own()
        if own is not None and own.bond:
            raise SettingsError(
                f"this node stands for election already with {format_ssp(own.bond)} SSP: {own.standing}; lend"
                f" it more with `smartshare chain delegate {format_address(self._node)} SSP`"
            )
        parameters = self._operator.ask("parameters", {}, ParametersReply).parameters
        least = next(one.value for one in parameters if one.name == "bond_min")
        if bond < least:
            raise SettingsError(
                f"a bond of {format_ssp(bond)} SSP is too small: at least {format_ssp(least)} SSP"
            )

    def _check_wallet(self, missing: int) -> None:
        wallet = self.account.keys.wallet
        held, needed = self._balance(wallet), missing + FEES
        if held < needed:
            raise SettingsError(
                f"the wallet holds {format_ssp(held)} SSP and needs {format_ssp(needed)} SSP with the fees:"
                f" pay them to {format_address(wallet)} first"
            )

    def _register(self) -> None:
        """The gateway registers its node as soon as its metering account can pay; here the wallet does."""
        asked = {"address": self._node.hex()}
        if not self._operator.ask("identity", asked, IdentityReply).registered:
            sent = self.account.register()
            check_applied(sent, self._operator.wait_final(sent))

    def _balance(self, address: bytes) -> int:
        return self._operator.ask("account", {"address": address.hex()}, AccountReply).balance


def check_candidates(operator: Operator, nodes: Collection[bytes]) -> None:
    """Raise `SettingsError` where somebody of these does not stand for election."""
    standing = {one.node for one in operator.ask("agents", {}, AgentsReply).agents}
    for node in nodes:
        if node.hex() not in standing:
            raise SettingsError(
                f"{format_address(node)} does not stand for election: `smartshare chain agents` lists who does"
            )
