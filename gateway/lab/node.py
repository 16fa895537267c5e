"""One node of a laboratory: the real machine, the real guard's judge, and a shell over a simulated disk.

The shell performs effects as the product's driver does: in order, write-ahead and guard before
signature before send. When the power goes in the middle, what was not yet done never happens.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.lab.application import LabApplication
from gateway.lab.clockwork import Clockwork
from gateway.lab.disk import Disk, PowerCut
from gateway.lab.signatures import SignatureScheme
from gateway.smart_agent.judge import GuardRefusal, VoteRequest, judge
from ledger.consensus.blocks import Proposal, is_epoch_end
from ledger.consensus.certificate import verify_certificate, verify_vote
from ledger.consensus.effects import (
    Broadcast,
    BuildBlock,
    CommitBlock,
    Effect,
    Gossip,
    Halt,
    OpenEpoch,
    PersistCertificate,
    PersistProposal,
    ReportEvidence,
    Send,
    ServeBlock,
    ServeChain,
    SignVote,
    ValidateBlock,
    VerifySignatures,
    WakeAt,
)
from ledger.consensus.epoch import Epoch, Tip
from ledger.consensus.inputs import (
    BlockBuilt,
    BlockRefused,
    BlockValidated,
    BuildPostponed,
    EpochOpened,
    Input,
    MessageReceived,
    Now,
    SignaturesVerified,
    SignerUnavailable,
    Started,
    Ticked,
    VoteRefused,
    VoteSigned,
)
from ledger.consensus.machine import Machine
from ledger.consensus.serving import FinalEntry, cut_piece
from ledger.consensus.state import Rules
from ledger.crypto.domains import vote_message
from ledger.types.block import Certificate, FinalityProof, Vote
from ledger.types.messages import BlockMessage, Message

Outgoing = Send | Broadcast | Gossip
PIECE_BLOCKS = 16  # short, so that runs of a few hundred blocks see many pieces


class Observer(Protocol):
    """Sees what a node does at the moment it does it."""

    def on_vote(self, node: "LabNode", vote: Vote) -> None:
        """A signature was made and is about to be used."""
        ...

    def on_commit(self, node: "LabNode", proposal: Proposal, proof: FinalityProof | None) -> None:
        """A block was committed."""
        ...

    def on_evidence(self, node: "LabNode", first: Vote, second: Vote) -> None:
        """The node accuses an agent."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What the nodes of a run share."""

    rules: Rules
    application: LabApplication
    scheme: SignatureScheme
    clockwork: Clockwork
    genesis: Tip
    observers: list[Observer] = field(default_factory=list)


class NodeHaltedError(Exception):
    """A machine found that nothing safe is left to do."""


class LabNode:
    """A node that can be crashed at any write, paused, and started again from its disk."""

    def __init__(
        self, name: bytes, seed: bytes, world: World, send: Callable[[bytes, Outgoing], None]
    ) -> None:
        self.name = name
        self.world = world
        self.disk = Disk(world.genesis)
        self.is_up = False
        self.is_paused = False
        self.is_guarded = True
        self.is_signer_away = False
        self.wall_offset_ms = 0
        self.is_synchronised = True
        self.has_work = True
        self.transactions: Callable[[int], tuple[bytes, ...]] = lambda h: (b"tx%d" % h,)
        self._seed = seed
        self._send = send
        self._backlog: list[tuple[bytes, Message]] = []
        self._state_roots: dict[bytes, bytes] = {}
        self._inputs: deque[Input] = deque()
        self._wake: tuple[int, int] = (0, 0)  # life, time
        self.lives = 0
        self.machine = self._boot()

    @property
    def height(self) -> int:
        """Height of the newest final block on disk."""
        return len(self.disk.chain)

    @property
    def epoch(self) -> Epoch:
        """The epoch the machine is in."""
        return self.machine.state.epoch

    def start(self) -> None:
        """Come up with what the disk holds."""
        self.machine = self._boot()
        self.is_up, self.is_paused = True, False
        self.lives += 1
        chain = self.disk.chain
        own = chain[-1].proof if chain else None
        certificates = list(self.disk.certificates)
        if own is not None and not own.headers:
            certificates.append(own.certificate)
        self._feed(Started(tuple(self.disk.blocks.values()), tuple(certificates)))

    def crash(self) -> None:
        """Lose everything but the disk."""
        self.is_up = False
        self._backlog.clear()
        self._inputs.clear()

    def pause(self) -> None:
        """Stop as a stopped process does: nothing is lost, nothing happens."""
        self.is_paused = True

    def resume(self) -> None:
        """Go on after a pause."""
        if not self.is_paused:
            return
        self.is_paused = False
        backlog, self._backlog = self._backlog, []
        self._feed(Ticked(self.has_work))
        for peer, message in backlog:
            self.deliver(peer, message)

    def deliver(self, peer: bytes, message: Message) -> None:
        """Take a message from the network."""
        if self.is_paused:
            self._backlog.append((peer, message))
        elif self.is_up:
            self._feed(MessageReceived(peer, message))

    def now(self) -> Now:
        """Return this node's clocks."""
        monotonic_ms = self.world.clockwork.now_ms
        wall_ms = self.world.genesis.time_ms + monotonic_ms + self.wall_offset_ms
        return Now(wall_ms, monotonic_ms, self.is_synchronised)

    def _boot(self) -> Machine:
        disk, world = self.disk, self.world
        root, number = disk.genesis, 0
        ends = [b.proposal for b in disk.chain if is_epoch_end(b.proposal.header)]
        if ends:
            last = ends[-1]
            root = Tip(last.header.height, 0, last.hash, last.header.time_ms)
            number = last.header.epoch + 1
        epoch = world.application.open_epoch(number, root, self.name)
        tip, self._state_roots = root, {root.hash: world.genesis.hash}
        if disk.chain:
            newest = disk.chain[-1].proposal
            self._state_roots = {newest.hash: newest.header.state_root}
            if newest.hash != root.hash:
                header = newest.header
                tip = Tip(header.height, header.slot, newest.hash, header.time_ms)
        return Machine(world.rules, epoch, tip)

    def _feed(self, happened: Input) -> None:
        self._inputs.append(happened)
        now = self.now()
        try:
            while self._inputs:
                for effect in self.machine.handle(self._inputs.popleft(), now):
                    self._perform(effect)
        except PowerCut:
            self.crash()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case VerifySignatures():
                self._inputs.append(self._verify(effect))
            case WakeAt(monotonic_ms):
                self._wake_at(monotonic_ms)
            case Send() | Broadcast() | Gossip():
                self._send(self.name, effect)
            case SignVote():
                # Rule 2 of the effects: answered before any other input.
                self._inputs.appendleft(self._sign(effect))
            case PersistProposal(proposal):
                self.disk.write_block(proposal)
            case PersistCertificate(certificate):
                self.disk.write_certificate(certificate)
            case BuildBlock():
                self._inputs.append(self._build(effect))
            case ValidateBlock(proposal):
                self._inputs.append(self._validate(proposal))
            case _:
                self._perform_chain(effect)

    def _perform_chain(
        self, effect: CommitBlock | OpenEpoch | ServeBlock | ServeChain | ReportEvidence | Halt
    ) -> None:
        match effect:
            case CommitBlock(proposal, proof):
                self._commit(proposal, proof)
            case OpenEpoch(number, root):
                opened = self.world.application.open_epoch(number, root, self.name)
                self._inputs.appendleft(EpochOpened(opened))
            case ServeBlock(peer, block_hash):
                self._serve_block(peer, block_hash)
            case ServeChain(peer, height):
                piece = cut_piece(self._read, height, PIECE_BLOCKS)
                if piece is not None:
                    self._send(self.name, Send(peer, piece))
            case ReportEvidence(first, second):
                for observer in self.world.observers:
                    observer.on_evidence(self, first, second)
            case Halt(detail):
                raise NodeHaltedError(f"{self.name.hex()[:8]}: {detail}")

    def _verify(self, wanted: VerifySignatures) -> SignaturesVerified:
        chain_id, keys = self.world.rules.chain_id, wanted.epoch.keys
        check = self.world.scheme.check
        votes = tuple(v for v in wanted.votes if verify_vote(v, chain_id, keys, check) is None)
        certificates: tuple[Certificate, ...] = tuple(
            c for c in wanted.certificates if verify_certificate(c, chain_id, keys, check) is None
        )
        return SignaturesVerified(wanted.peer, votes, certificates, wanted.message)

    def _sign(self, wanted: SignVote) -> VoteSigned | VoteRefused | SignerUnavailable:
        if self.is_signer_away:
            return SignerUnavailable(wanted.kind, wanted.epoch, wanted.slot, wanted.block_hash)
        request = VoteRequest(wanted.kind, wanted.epoch, wanted.slot, wanted.block_hash)
        if self.is_guarded:
            verdict = judge(self.disk.guard_record, request)
            if isinstance(verdict, GuardRefusal):
                return VoteRefused(wanted.kind, wanted.slot, verdict.value)
            if verdict != self.disk.guard_record:
                self.disk.write_guard(verdict)
        vote = self.sign_unguarded(request)
        for observer in self.world.observers:
            observer.on_vote(self, vote)
        return VoteSigned(vote)

    def sign_unguarded(self, request: VoteRequest) -> Vote:
        """Sign whatever it is: what a stolen key can do."""
        place = (request.kind, request.epoch, request.slot, request.block_hash)
        message = vote_message(self.world.rules.chain_id, *place)
        seat = self.epoch.our_seat
        assert seat is not None, "only a member of the set votes"
        return Vote(*place, voter=seat, signature=self.world.scheme.sign(self._seed, message))

    def _build(self, wanted: BuildBlock) -> BlockBuilt | BuildPostponed:
        if self.is_signer_away:
            return BuildPostponed(wanted.slot)
        transactions = self.transactions(wanted.parent.height + 1)
        parent_root = self._state_roots[wanted.parent.hash]
        proposal = self.world.application.build(wanted, parent_root, transactions)
        self._state_roots[proposal.hash] = proposal.header.state_root
        return BlockBuilt(proposal)

    def _validate(self, proposal: Proposal) -> BlockValidated | BlockRefused:
        parent_root = self._state_roots[proposal.header.parent_hash]
        fault = self.world.application.find_fault(proposal, parent_root, self.epoch)
        if fault is not None:
            return BlockRefused(proposal.hash, fault)
        self._state_roots[proposal.hash] = proposal.header.state_root
        return BlockValidated(proposal.hash)

    def _commit(self, proposal: Proposal, proof: FinalityProof | None) -> None:
        self.disk.commit(proposal, proof)
        for observer in self.world.observers:
            observer.on_commit(self, proposal, proof)

    def _read(self, height: int) -> FinalEntry | None:
        if not 0 < height <= len(self.disk.chain):
            return None
        stored = self.disk.chain[height - 1]
        return FinalEntry(stored.proposal.header.epoch, stored.proposal.block, stored.proof)

    def _serve_block(self, peer: bytes, block_hash: bytes) -> None:
        for stored in reversed(self.disk.chain):
            if stored.proposal.hash == block_hash:
                self._send(self.name, Send(peer, BlockMessage(stored.proposal.block)))
                return

    def _wake_at(self, time_ms: int) -> None:
        wake = (self.lives, time_ms)
        if wake != self._wake:
            self._wake = wake
            self.world.clockwork.at(time_ms, self._on_wake, wake)

    def _on_wake(self, wake: tuple[int, int]) -> None:
        if wake == self._wake and self.is_up and not self.is_paused:
            self._wake = (0, 0)
            self._feed(Ticked(self.has_work))
