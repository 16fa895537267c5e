"""What the ledger process does about other nodes: the network, what the SmartAgent must hear, and the tip.

Rule: how far a node is behind is judged by what enough agents say that one of them is honest.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

from gateway.clock import Clock
from gateway.errors import AgentError
from gateway.ledger_host.light_desk import LightDesk
from gateway.ledger_host.peers.culprits import Culprits
from gateway.ledger_host.peers.hints import follow_hints
from gateway.ledger_host.peers.making import build_identity, build_network
from gateway.ledger_host.peers.seams import NodeSide, Submitted, ignore_snapshots
from gateway.ledger_host.peers.telling import build_peers_reply
from gateway.ledger_host.snapshot_desk import SnapshotDesk
from gateway.model.ledger_api import PeersReply
from gateway.settings import Home, Settings
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys
from gateway.smart_agent.vote_watch import TipReport
from ledger.errors import Reason, Rejected
from ledger.identity.facts import Moment
from ledger.network.wire import GetSnapshot, Pruned, SnapshotMessage
from ledger.node.light_answers import LightAnswers
from ledger.node.node import LedgerNode, Surroundings
from ledger.types.block import Vote
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.messages import GetChain, Message, Status
from ledger.types.transaction import ReportEvidence

_log = logging.getLogger(__name__)

HEIGHTS_MAX = 256  # peers whose newest status is remembered
_FORGED = (Reason.BAD_SIGNATURE, Reason.FALSE_EVIDENCE)
BEHIND_BLOCKS = 2  # what becomes final while a status travels


class PeerDesk:
    """Create it in a running event loop; give it the node when that is open."""

    def __init__(  # noqa: PLR0917 - the parts it is made of
        self,
        home: Home,
        settings: Settings,
        genesis: Genesis,
        keys: AgentKeys,
        agent: AgentClient,
        clock: Clock,
    ) -> None:
        """Raises `SettingsError` for peers or grants that cannot be read."""
        self._node: LedgerNode | None = None
        self._agent = agent
        self._clock = clock
        self._keys = keys
        self._genesis = genesis
        self._chain = home.chain
        self._discovery = settings.discovery
        self._culprits = Culprits()
        self._heights: OrderedDict[bytes, int] = OrderedDict()
        self._own_votes: asyncio.Queue[Vote] = asyncio.Queue(maxsize=64)
        identity = build_identity(
            home,
            genesis,
            keys,
            agent,
            facts=lambda: self._open_node().identity_facts(),
            now=self._moment,
        )
        self.network = build_network(home, settings, identity, clock)
        self._snapshots = SnapshotDesk(home.snapshots, self.network.send)
        # What peers say about snapshots that is no question.
        self.on_snapshot: Callable[[bytes, SnapshotMessage], None] = ignore_snapshots

    def surroundings(self) -> Surroundings:
        """Return what the node is opened with."""
        return Surroundings(
            self._keys.node,
            self.network,
            on_evidence=self._take_evidence,
            on_own_vote=self._take_own_vote,
        )

    def reports(self) -> tuple[ReportEvidence, ...]:
        """Return what the chain must hear of agents that contradicted themselves; on the event loop.

        Nothing of those whom somebody's accusation already accuses.
        """
        node = self._open_node()
        for report in self._culprits.reports():
            if node.is_tombstoned(report.agent):
                self._culprits.forget(report.agent)
        return tuple(one for one in self._culprits.reports() if not node.is_accused(one.agent))

    async def run(self, node: LedgerNode) -> None:
        """Stay connected until cancelled. Raises `BrokerError` where it cannot listen."""
        self._node = node
        light = LightDesk(
            LightAnswers(self._chain, node.prover, self._genesis),
            node.submit,
            self.network.send,
            self._clock,
            note_fault=self.network.note_fault,
        )
        side = NodeSide(
            receive=self._receive,
            peer_connected=node.peer_connected,
            submit=self._submit,
            pending=node.pending,
            agents=node.agents,
            snapshot=self._answer,
            light=light.hear,
            listening=self._on_listening,
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._report_own_votes())
                chain_id = genesis_chain_id(self._genesis)
                learn = self.network.learn
                group.create_task(follow_hints(self._discovery, chain_id, node.agents, learn))
                await self.network.run(side)
        finally:
            await asyncio.to_thread(light.close)

    def peers(self) -> PeersReply:
        """Return who is connected, and who is not and why; on the event loop."""
        return build_peers_reply(self.network)

    def tip(self, node: LedgerNode) -> TipReport:
        """Return whether the node is where the chain is, and how many agents there are.

        Alone in its set a node is always there. Else so many agents must be heard that one of them is
        honest, and none of the claims counts that only liars may have made.
        """
        agents = node.agents()
        others = [agent for agent in agents if agent != self._keys.node]
        if not others:
            return TipReport(is_at_tip=True, agents=len(agents))
        faulty = (len(agents) - 1) // 3
        heights = sorted((self._heights[a] for a in others if a in self._heights), reverse=True)
        if len(heights) <= faulty:
            return TipReport(is_at_tip=False, agents=len(agents))
        is_at_tip = node.status().height + BEHIND_BLOCKS >= heights[faulty]
        return TipReport(is_at_tip, agents=len(agents))

    def _open_node(self) -> LedgerNode:
        assert self._node is not None, "peers are met after the node is open"
        return self._node

    def _moment(self) -> Moment:
        if self._clock.is_synchronised():
            return Moment(self._clock.now_ms(), is_trusted=True)
        return Moment(self._open_node().status().time_ms, is_trusted=False)

    def _receive(self, peer: bytes, message: Message) -> None:
        if isinstance(message, Status):
            self._heights.pop(peer, None)
            self._heights[peer] = message.height
            if len(self._heights) > HEIGHTS_MAX:
                self._heights.popitem(last=False)
        node = self._open_node()
        if isinstance(message, GetChain) and message.height < node.pruned_height():
            self.network.send(peer, Pruned(node.pruned_height()))
            return
        node.receive(peer, message)

    def _submit(self, raw: bytes) -> Submitted:
        return submit_from_peer(self._open_node(), raw)

    def _answer(self, peer: bytes, message: SnapshotMessage) -> None:
        if isinstance(message, GetSnapshot):
            self._snapshots.ask(peer, message)
        else:
            self.on_snapshot(peer, message)

    def _on_listening(self) -> None:
        if self.network.port is not None:
            _log.info("other nodes reach this one on port %d", self.network.port)

    def _take_evidence(self, first: Vote, second: Vote) -> None:
        agent = self._culprits.note(self._open_node().agents(), first, second)
        if agent is not None:
            _log.warning(
                "agent %s signed two votes that contradict each other in slot %d",
                agent.hex()[:16],
                first.slot,
            )

    def _take_own_vote(self, vote: Vote) -> None:
        try:
            self._own_votes.put_nowait(vote)
        except asyncio.QueueFull:
            _log.warning(
                "more votes by our own key than can be looked at: is there a second one of us?"
            )

    async def _report_own_votes(self) -> None:
        """Hand votes by our own key to the SmartAgent: one that it never gave ends its voting."""
        while True:
            vote = await self._own_votes.get()
            try:
                standing = await asyncio.to_thread(self._agent.report_own_vote, vote)
            except AgentError as error:
                _log.warning("a vote by our own key cannot be looked at now: %s", error)
                continue
            if standing != "voting":
                _log.warning("votes: %s", standing)


def submit_from_peer(node: LedgerNode, raw: bytes) -> Submitted:
    """Let a transaction wait that a peer passed on, and say what that says of the peer."""
    taken = node.take(raw)
    if isinstance(taken, Rejected):
        return Submitted.FORGED if taken.reason in _FORGED else Submitted.LEFT
    return Submitted.TAKEN if taken.is_new else Submitted.LEFT
