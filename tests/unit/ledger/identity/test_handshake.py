"""The handshake: one that succeeds on both sides, then one thing broken at a time."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ledger.codec.canonical import encode
from ledger.crypto.hashing import sha256
from ledger.identity.facts import LeaseFacts, Moment
from ledger.identity.grant import Role
from ledger.identity.handshake import (
    OwnSide,
    PendingAnswer,
    ReplayWindow,
    answer_hello,
    build_hello,
    check_answer,
    check_proof,
)
from ledger.identity.messages import (
    NO_INSTANCE,
    Answer,
    Hello,
    Proof,
    decode_handshake,
    encode_goodbye,
)
from ledger.identity.peer_check import CHAIN_STILL_MS, AcceptedPeer
from ledger.identity.refusals import PeerFlag, RefusalCode, Refused
from ledger.types.reading import ClockStatus
from tests.support.identity import (
    NOW_MS,
    OTHER,
    UNIT,
    Facts,
    grant_id_of,
    instance_of,
    own_side,
    sign_token,
    unit_grant,
)
from tests.support.transactions import Person

NOW = Moment(NOW_MS, is_trusted=True)
Tamper = Callable[[bytes], bytes]


def keep(raw: bytes) -> bytes:
    return raw


class Meeting:
    """UNIT dials OTHER; either side, the facts they see and the bytes in between may be changed."""

    def __init__(
        self,
        *,
        dialler: OwnSide | None = None,
        listener: OwnSide | None = None,
        facts: Facts | None = None,
        now: Moment = NOW,
    ) -> None:
        self.dialler = dialler or own_side(UNIT)
        self.listener = listener or own_side(OTHER)
        self.facts = facts or Facts()
        self.now = now
        self.window = ReplayWindow()
        self.signers: dict[bytes, Person] = {UNIT.address: UNIT, OTHER.address: OTHER}
        self.hello = build_hello(self.dialler)
        self.pending: PendingAnswer | None = None

    def sign(self, side: OwnSide, token: bytes) -> bytes:
        return sign_token(self.signers[side.claims.node_id], token)

    def hear_hello(self, tamper: Tamper = keep) -> bytes | Refused:
        """Return the answer that the listener sends."""
        pending = answer_hello(tamper(self.hello), self.listener, self.window)
        if isinstance(pending, Refused):
            return pending
        self.pending = pending
        self.answer = pending.finish(self.sign(self.listener, pending.token))
        return self.answer

    def hear_answer(self, tamper: Tamper = keep, **expected: Any) -> AcceptedPeer | Refused:
        """Return what the dialler makes of the answer."""
        if self.pending is None:
            assert isinstance(self.hear_hello(), bytes)
        result = check_answer(
            tamper(self.answer), self.dialler, facts=self.facts, now=self.now, **expected
        )
        if isinstance(result, Refused):
            return result
        peer, proof = result
        self.proof = proof.finish(self.sign(self.dialler, proof.token))
        return peer

    def hear_proof(self, tamper: Tamper = keep) -> AcceptedPeer | Refused:
        """Return what the listener makes of the proof."""
        assert isinstance(self.hear_answer(), AcceptedPeer)
        return self.judge_proof(tamper(self.proof))

    def judge_proof(self, raw: bytes) -> AcceptedPeer | Refused:
        assert self.pending is not None
        return check_proof(raw, self.pending, self.answer, facts=self.facts, now=self.now)

    def redial(self, dialler: OwnSide) -> None:
        """Begin anew, up to the listener's answer."""
        self.dialler, self.window, self.hello = dialler, ReplayWindow(), build_hello(dialler)
        assert isinstance(self.hear_hello(), bytes)


def code_of(result: object) -> str:
    assert isinstance(result, Refused), result
    assert "\n" not in str(result)
    return result.code.value


def with_leases() -> Facts:
    leases = {
        node.address: LeaseFacts(instance_of(node), NOW_MS + 1000, NOW_MS) for node in (UNIT, OTHER)
    }
    return Facts(leases=leases)


def test_both_sides_know_each_other_after_three_messages():
    meeting = Meeting(facts=with_leases())
    assert isinstance(meeting.hear_hello(), bytes)
    seen_by_dialler = meeting.hear_answer(expected_peer=OTHER.address)
    seen_by_listener = meeting.hear_proof()
    assert isinstance(seen_by_dialler, AcceptedPeer)
    assert isinstance(seen_by_listener, AcceptedPeer)
    assert (seen_by_dialler.node_id, seen_by_dialler.role) == (OTHER.address, Role.AGENT)
    assert (seen_by_listener.node_id, seen_by_listener.role) == (UNIT.address, Role.AGENT)
    assert seen_by_listener.unit is not None
    assert seen_by_listener.unit.model == "gw-1"
    assert seen_by_dialler.flags == seen_by_listener.flags == ()


def test_an_open_network_needs_no_grants():
    meeting = Meeting(
        dialler=own_side(UNIT, grants=()),
        listener=own_side(OTHER, grants=()),
        facts=Facts(foundation=None),
    )
    peer = meeting.hear_proof()
    assert isinstance(peer, AcceptedPeer)
    assert peer.unit is None


@pytest.mark.parametrize(
    ("code", "side"),
    [
        ("wrong-chain", {"chain_id": bytes(32)}),
        ("wrong-channel", {"channel": sha256(b"another certificate")}),
        ("not-permitted", {"role": Role.LIGHT}),
        ("unknown-issuer", {"grants": ()}),
        ("malformed", {"grants": (b"", b"")}),
    ],
)
@pytest.mark.parametrize("who", ["dialler", "listener"])
def test_one_claim_broken(code, side, who):
    if who == "dialler":
        broken = own_side(UNIT, **side)
        meeting = Meeting(dialler=broken)
        result: object = meeting.hear_hello()
        if not isinstance(result, Refused):
            result = prove_unchecked(meeting, broken)
    else:
        meeting = Meeting(listener=own_side(OTHER, **side))
        result = meeting.hear_hello()
        if not isinstance(result, Refused):
            result = meeting.hear_answer()
    assert code_of(result) == code


def prove_unchecked(meeting: Meeting, dialler: OwnSide) -> AcceptedPeer | Refused:
    """Let a dialler that checks nothing prove itself, and return what the listener makes of it."""
    lenient = Facts(foundation=None)
    meeting.redial(dialler)
    heard = check_answer(
        meeting.answer,
        OwnSide(
            msgspec.structs.replace(dialler.claims, channel=meeting.listener.claims.channel),
            dialler.nonce,
        ),
        facts=lenient,
        now=NOW,
    )
    assert not isinstance(heard, Refused), heard
    token = msgspec.msgpack.decode(heard[1].token)
    claims = dialler.claims
    token[8], token[9] = claims.channel, sha256(encode(claims))
    signature = sign_token(meeting.signers[claims.node_id], encode(token))
    return meeting.judge_proof(encode(Proof(claims, meeting.listener.nonce, signature)))


@pytest.mark.parametrize(
    ("code", "facts"),
    [
        ("retired", {"retired": {UNIT.address, OTHER.address}}),
        ("revoked", {"revoked": {grant_id_of(unit_grant(n)) for n in (UNIT, OTHER)}}),
        (
            "cloned",
            {
                "leases": {
                    n.address: LeaseFacts(bytes(32), NOW_MS + 1, NOW_MS) for n in (UNIT, OTHER)
                }
            },
        ),
    ],
)
def test_what_the_chain_says_counts_on_both_sides(code, facts):
    assert code_of(Meeting(facts=Facts(**facts)).hear_answer()) == code
    assert code_of(prove_unchecked(Meeting(facts=Facts(**facts)), own_side(UNIT))) == code


@pytest.mark.parametrize(
    ("code", "now"),
    [
        ("expired", Moment(NOW_MS * 2, is_trusted=True)),
        ("not-yet-valid", Moment(0, is_trusted=True)),
        ("clock-untrusted", Moment(NOW_MS, is_trusted=False)),
    ],
)
def test_time_counts_on_both_sides(code, now):
    assert code_of(Meeting(now=now).hear_answer()) == code
    assert code_of(prove_unchecked(Meeting(now=now), own_side(UNIT))) == code


def test_a_node_that_fetches_its_time_accepts_with_a_flag():
    dialler = OwnSide(own_side(UNIT).claims, own_side(UNIT).nonce, allows_untrusted_clock=True)
    peer = Meeting(dialler=dialler, now=Moment(0, is_trusted=False)).hear_answer()
    assert isinstance(peer, AcceptedPeer)
    assert PeerFlag.VALIDITY_NOT_JUDGED in peer.flags


def test_who_calls_itself_by_our_own_id_is_a_clone():
    twin = own_side(UNIT, nonce=sha256(b"the clone's nonce"))
    assert code_of(Meeting(listener=twin).hear_hello()) == "cloned"


def test_without_a_lease_shown_a_live_lease_is_not_anybodys():
    meeting = Meeting(facts=with_leases(), listener=own_side(OTHER, instance=NO_INSTANCE))
    assert code_of(meeting.hear_answer()) == "cloned"


def test_a_hello_is_answered_once():
    meeting = Meeting()
    assert isinstance(meeting.hear_hello(), bytes)
    assert code_of(meeting.hear_hello()) == "replayed"


def test_the_replay_window_forgets_the_oldest_only():
    window = ReplayWindow(2)
    assert [window.take(bytes([n])) for n in (1, 2, 1, 3, 2, 1)] == [
        True, True, False, True, False, True,
    ]  # fmt: skip


def test_a_recorded_answer_is_worth_nothing_in_another_connection():
    recorded = Meeting()
    recorded.hear_hello()
    later = Meeting(dialler=own_side(UNIT, nonce=sha256(b"another nonce")))
    assert code_of(later.hear_answer(lambda _raw: recorded.answer)) == "replayed"


def test_a_recorded_proof_is_worth_nothing_in_another_connection():
    recorded = Meeting()
    recorded.hear_proof()
    later = Meeting(listener=own_side(OTHER, nonce=sha256(b"another nonce")))
    assert code_of(later.hear_proof(lambda _raw: recorded.proof)) == "replayed"


def test_our_own_nonce_sent_back_as_the_peers_is_a_replay():
    meeting = Meeting(listener=own_side(OTHER, nonce=own_side(UNIT).nonce))
    assert code_of(meeting.hear_answer()) == "replayed"


def test_who_wanted_a_certain_peer_accepts_no_other():
    assert code_of(Meeting().hear_answer(expected_peer=bytes(32))) == "wrong-peer"


def test_a_proof_is_the_hellos_node_and_role():
    meeting = Meeting()
    meeting.hear_answer()

    def by_another(raw: bytes) -> bytes:
        proof = decode_handshake(raw)
        assert isinstance(proof, Proof)
        claims = msgspec.structs.replace(proof.claims, role=Role.FULL)
        return encode(Proof(claims, proof.echo, proof.signature))

    assert code_of(meeting.hear_proof(by_another)) == "wrong-peer"


def test_a_signature_by_another_key_is_none():
    meeting = Meeting()
    meeting.signers[OTHER.address] = UNIT
    assert code_of(meeting.hear_answer()) == "bad-signature"


@pytest.mark.parametrize("message", ["hello", "answer", "proof"])
def test_no_changed_byte_of_any_message_is_accepted(message):
    """A changed hello is answered, but then the answer is not to ours: the dialler notices."""
    meeting = Meeting()
    meeting.hear_proof()
    raw: bytes = getattr(meeting, message)
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert isinstance(hear_changed(message, changed), Refused), at


def hear_changed(message: str, changed: bytes) -> object:
    """Return what becomes of a meeting in which one message is replaced on its way."""

    def tamper(_raw: bytes) -> bytes:
        return changed

    meeting = Meeting()
    if message == "proof":
        return meeting.hear_proof(tamper)
    if message == "answer":
        return meeting.hear_answer(tamper)
    answered = meeting.hear_hello(tamper)
    return answered if isinstance(answered, Refused) else meeting.hear_answer()


def test_a_relay_cannot_pass_a_token_on_to_a_third_node():
    """UNIT talks to a relay that shows OTHER's answer as its own: the token names its signer."""
    relay = Person("relay")
    meeting = Meeting()
    meeting.hear_hello()

    def as_relay(raw: bytes) -> bytes:
        answer = decode_handshake(raw)
        assert isinstance(answer, Answer)
        claims = msgspec.structs.replace(answer.claims, node_id=relay.address)
        return encode(Answer(claims, answer.echo, answer.nonce, answer.signature))

    assert code_of(meeting.hear_answer(as_relay)) == "bad-signature"


def test_an_unknown_version_is_refused():
    meeting = Meeting()
    claims = meeting.dialler.claims
    hello = Hello(2, claims.chain_id, claims.node_id, claims.role, meeting.dialler.nonce)
    assert code_of(meeting.hear_hello(lambda _raw: encode(hello))) == "malformed"


def test_messages_out_of_order_and_nonsense_are_malformed():
    meeting = Meeting()
    meeting.hear_proof()
    assert code_of(answer_hello(meeting.answer, meeting.listener, ReplayWindow())) == "malformed"
    assert code_of(meeting.hear_answer(lambda _raw: meeting.hello)) == "malformed"
    for raw in (b"", b"\x00", bytes(9000), meeting.hello + b"\0"):
        assert code_of(answer_hello(raw, meeting.listener, ReplayWindow())) == "malformed"


def test_a_goodbye_gives_the_other_side_the_code():
    goodbye = encode_goodbye(Refused(RefusalCode.RETIRED, "node abc\nwas retired \u2028 for good"))
    refused = Meeting().hear_answer(lambda _raw: goodbye)
    assert code_of(refused) == "retired"
    assert "was retired" in str(refused)


def test_flags_of_an_accepted_peer():
    listener = own_side(OTHER, measurement=bytes(32), clock=ClockStatus.UNSYNCHRONISED)
    peer = Meeting(listener=listener).hear_answer()
    assert isinstance(peer, AcceptedPeer)
    assert peer.flags == (
        PeerFlag.SOFTWARE_NOT_LISTED,
        PeerFlag.NO_LEASE,
        PeerFlag.CLOCK_UNSYNCHRONISED,
    )


def test_a_lease_that_ended_is_a_flag_and_no_clone():
    facts = Facts(leases={OTHER.address: LeaseFacts(bytes(32), NOW_MS, NOW_MS)})
    peer = Meeting(facts=facts).hear_answer()
    assert isinstance(peer, AcceptedPeer)
    assert peer.flags == (PeerFlag.NO_LEASE,)


@pytest.mark.parametrize(
    ("known_at_ms", "is_trusted", "is_clone"),
    [
        (NOW_MS, True, True),
        (NOW_MS - CHAIN_STILL_MS, True, True),
        (NOW_MS - CHAIN_STILL_MS - 1, True, False),
        (NOW_MS, False, False),
    ],
)
def test_after_a_power_cut_for_all_nobody_is_kept_apart_as_a_clone(
    known_at_ms, is_trusted, is_clone
):
    """All nodes have new instances, and the chain, which could tell, stands still until they meet."""
    lease = LeaseFacts(bytes(32), NOW_MS + 1000, known_at_ms)
    meeting = Meeting(
        dialler=OwnSide(own_side(UNIT).claims, own_side(UNIT).nonce, allows_untrusted_clock=True),
        facts=Facts(leases={OTHER.address: lease}),
        now=Moment(NOW_MS, is_trusted=is_trusted),
    )
    result = meeting.hear_answer()
    if is_clone:
        assert code_of(result) == "cloned"
    else:
        assert isinstance(result, AcceptedPeer)
        assert PeerFlag.NO_LEASE in result.flags
