"""A light node among full ones that answer, lie, lag or keep silent: what it believes, keeps and tells."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.errors import MessagingError
from gateway.ledger_host.light import asking, chain as light_chain
from ledger.codec.canonical import encode
from ledger.errors import CorruptStorageError, Rejected
from ledger.light.answers import HeadersAnswer
from ledger.light.follower import STALE_BLOCKS, TRUST_PERIOD_MS
from ledger.network.light_messages import GetFinalBlock, GetHeaders, LightQuestion
from ledger.network.standing import Fault
from tests.support.light_lab import START_MS, HeaderChain, agents_of, id_of, make_genesis
from tests.support.light_peers import FullPeer, LightLab, Peers, SilentError

OLD, NEW = agents_of("a", "b", "c", "d"), agents_of("v", "w", "x", "y")
CHAIN = HeaderChain([OLD, NEW])
FORGED = HeaderChain([NEW, NEW], CHAIN.genesis)
KEYS = (b"akey", b"anothing")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_TIMEOUT_S", 0.05)
    monkeypatch.setattr(light_chain, "BEHIND_WAIT_S", 0.001)


class Folder:
    """Opens light nodes over one file, one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: LightLab | None = None

    def open(self, *peers: FullPeer, **options: object) -> LightLab:
        self.close()
        self._open = LightLab(self._path, Peers(*peers), CHAIN.genesis, **options)  # type: ignore[arg-type]
        return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path / "trail.db")
    yield folder
    folder.close()


def silent(_question: LightQuestion) -> bytes | None:
    raise SilentError


async def test_it_follows_tells_and_goes_on_from_its_file(folder: Folder):
    lab = folder.open(FullPeer(CHAIN, 15))
    newest = await lab.chain.refresh()
    assert newest.header.height == 15
    assert lab.told == [15]

    again = folder.open(FullPeer(CHAIN, 16))
    assert again.chain.follower.newest is not None
    assert again.chain.follower.newest.header.height == 15
    assert again.chain.set_changes(1) == (CHAIN.end(0),)
    assert again.chain.set_changes(0) == ()
    assert (await again.chain.refresh()).header.height == 16
    (peer,) = again.peers.by_id.values()
    assert peer.asked == [GetHeaders(1, None)]


LIES = {
    "another chain's header": lambda: HeaderChain([OLD], make_genesis(OLD, "other")).headers([], 5),
    "a certificate of other agents": lambda: FORGED.headers([], 5),
    "other agents": lambda: FORGED.headers([0], 15),
    "no bytes": lambda: b"",
    "a short certificate": lambda: encode(
        HeadersAnswer(
            (),
            msgspec.structs.replace(
                CHAIN.final(5), certificate=CHAIN.certify(CHAIN.header(5), count=2)
            ),
        )
    ),
}


@pytest.mark.parametrize("name", LIES)
async def test_a_lie_about_headers_is_named_costs_standing_and_the_next_peer_is_asked(
    folder: Folder, caplog: pytest.LogCaptureFixture, name: str
):
    liar, honest = FullPeer(CHAIN, 15), FullPeer(CHAIN, 15)
    liar.lie = lambda _question: LIES[name]()
    lab = folder.open(liar, honest)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):  # whoever is first in turn
            await lab.chain.refresh()
    assert lab.told == [15]
    assert lab.peers.faults == [(liar, Fault.FORGED)]
    (line,) = [one.getMessage() for one in caplog.records]
    assert "is not used" in line
    assert len(liar.asked) == 1, "it is not asked again at once"


async def test_a_lie_about_the_state_is_found_out(folder: Folder):
    liar, honest = FullPeer(CHAIN, 15), FullPeer(CHAIN, 15)
    lab = folder.open(liar, honest)
    await lab.chain.refresh()
    other = HeaderChain([OLD, NEW])
    liar.lie = lambda _question: other.state(15, b"aother", b"akey")
    for _ in range(2):
        state = await lab.chain.read(KEYS)
        assert state.values == {b"akey": b"value", b"anothing": None}
    assert lab.peers.faults == [(liar, Fault.FORGED)]


async def test_an_old_state_presented_as_new_is_found_out_once_another_peer_was_heard(
    folder: Folder,
):
    old, honest = FullPeer(CHAIN, 15), FullPeer(CHAIN, 15 + STALE_BLOCKS + 1)
    lab = folder.open(old, honest)
    for _ in range(2):
        await lab.chain.refresh()
    for _ in range(2):
        state = await lab.chain.read(KEYS)
        assert state.at.header.height == honest.height
    assert lab.peers.faults == [(old, Fault.UNWANTED)]


async def test_agents_that_changed_since_are_learned_of_before_a_peer_is_blamed(folder: Folder):
    peer = FullPeer(CHAIN, 9)
    lab = folder.open(peer)
    await lab.chain.refresh()
    peer.height = 15  # of the next epoch, whose agents are all others
    assert (await lab.chain.read(KEYS)).at.header.height == 15
    assert lab.peers.faults == []
    assert lab.chain.set_changes(1) == (CHAIN.end(0),)


@pytest.mark.parametrize("what", ["block", "transaction"])
async def test_the_same_for_blocks_and_transactions(folder: Folder, what: str):
    peer = FullPeer(CHAIN, 9)
    lab = folder.open(peer)
    await lab.chain.refresh()
    peer.height = 15
    if what == "block":
        assert (await lab.chain.block(14)).at.header.height == 14
    else:
        assert await lab.chain.transaction(id_of(CHAIN.raws(14)[0])) is not None
    assert lab.peers.faults == []


async def test_a_change_that_one_peer_kept_back_is_learned_from_the_next(folder: Folder):
    three = OLD[:3]  # their quorum is one of the four, too
    chain = HeaderChain([OLD, three, NEW], CHAIN.genesis)
    liar, honest = FullPeer(chain, 15), FullPeer(chain, 25)
    liar.lie = lambda _question: chain.headers([], 15)
    honest.lie = silent
    lab = folder.open(liar, honest)
    await lab.chain.refresh()
    assert lab.chain.follower.newest is not None
    assert lab.chain.follower.epoch == 1
    liar.lie, honest.lie = silent, None
    for _ in range(2):
        await lab.chain.refresh()
    assert lab.chain.follower.newest.header.height == 25
    assert lab.peers.faults == []


async def test_a_silent_peer_is_passed_over(folder: Folder):
    mute, honest = FullPeer(CHAIN, 15), FullPeer(CHAIN, 15)
    mute.lie = silent
    lab = folder.open(mute, honest)
    for _ in range(3):
        assert (await lab.chain.read(KEYS)).at.header.height == 15
    assert len(mute.asked) <= 1
    assert lab.peers.faults == []


async def test_whoever_looks_at_the_chain_sees_the_newest_header_or_why_not(folder: Folder):
    peer = FullPeer(CHAIN, 15)
    lab = folder.open(peer)
    assert lab.chain.describe() == "no header yet"
    await lab.chain.look()
    assert "verified 0 s ago" in lab.chain.describe()
    asked = len(peer.asked)
    await lab.chain.look()
    assert len(peer.asked) == asked, "a moment later it is not asked again"

    lab = folder.open()
    await lab.chain.look()
    assert "no full node is connected" in lab.chain.problem


async def test_nobody_to_ask_is_one_line(folder: Folder):
    with pytest.raises(MessagingError, match="no full node is connected"):
        await folder.open().chain.refresh()
    mute = FullPeer(CHAIN, 15)
    mute.lie = silent
    with pytest.raises(MessagingError, match="no full node has an answer now"):
        await folder.open(mute).chain.refresh()


async def test_after_the_trust_period_nobody_is_asked_and_a_checkpoint_is_wanted(folder: Folder):
    peer = FullPeer(CHAIN, 15)
    await folder.open(peer).chain.refresh()
    late_ms = CHAIN.header(15).time_ms + TRUST_PERIOD_MS + 1

    lab = folder.open(peer)
    lab.clock.wall_ms = late_ms
    peer.asked.clear()
    for work in (lab.chain.refresh(), lab.chain.read(KEYS), lab.chain.transaction(bytes(32))):
        with pytest.raises(MessagingError, match=r"ledger\.checkpoint"):
            await work
    assert peer.asked == []


async def test_with_a_checkpoint_only_the_chain_that_stands_on_it_counts(folder: Folder):
    liar, honest = FullPeer(FORGED, 15), FullPeer(CHAIN, 15)
    lab = folder.open(liar, honest, checkpoint=CHAIN.checkpoint(0))
    for _ in range(2):
        await lab.chain.refresh()
    assert lab.chain.follower.met == str(CHAIN.checkpoint(0))
    assert [one for one, _ in lab.peers.faults] == [liar]
    again = folder.open(checkpoint=CHAIN.checkpoint(0))
    assert again.chain.follower.is_ready


async def test_what_it_submits_is_offered_kept_and_seen_into_its_block(folder: Folder):
    peers = [FullPeer(CHAIN, 15) for _ in range(4)]
    lab = folder.open(*peers)
    await lab.chain.refresh()
    raw = CHAIN.raws(16)[1]
    assert await lab.chain.submit(raw) == id_of(raw)
    assert sum(len(one.offered) for one in peers) == light_chain.OFFERED_TO_MAX
    assert await lab.chain.transaction(id_of(raw)) is None
    assert lab.chain.pool.oldest(9) == (raw,)

    running = asyncio.create_task(lab.chain.run())
    for one in peers:
        one.height = 16
    while lab.chain.pool:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    running.cancel()
    found = await lab.chain.transaction(id_of(raw))
    assert found is not None
    assert found.at.header.height == 16
    assert lab.told[-1] == 16


async def test_no_proof_counts_from_before_our_own_newest_transaction(folder: Folder):
    behind, ahead = FullPeer(CHAIN, 15), FullPeer(CHAIN, 16)
    lab = folder.open(behind, ahead)
    await lab.chain.refresh()
    assert await lab.chain.transaction(id_of(CHAIN.raws(16)[0])) is not None
    for _ in range(3):
        assert (await lab.chain.read(KEYS)).at.header.height == 16
    ahead.lie = silent
    with pytest.raises(MessagingError, match="no full node has block 16 yet"):
        await lab.chain.read(KEYS)
    assert lab.peers.faults == [], "a peer that lags a little is no liar"


async def test_a_peer_that_lags_does_not_make_a_transaction_unknown(folder: Folder):
    behind = FullPeer(CHAIN, 15)
    lab = folder.open(behind)
    await lab.chain.refresh()
    assert await lab.chain.transaction(bytes(32)) is None
    behind.height = 14
    with pytest.raises(MessagingError, match="ask again"):
        await lab.chain.transaction(bytes(32))


async def test_why_nobody_takes_a_transaction_is_told_and_it_does_not_wait(folder: Folder):
    peers = [FullPeer(CHAIN, 15) for _ in range(2)]
    for one in peers:
        one.refusal = "insufficient-funds: 5 are needed"
    lab = folder.open(*peers)
    refusal = await lab.chain.submit(CHAIN.raws(16)[0])
    assert isinstance(refusal, Rejected)
    assert "insufficient-funds" in refusal.detail
    assert not lab.chain.pool
    peers[0].refusal = ""
    assert await lab.chain.submit(CHAIN.raws(16)[0]) == id_of(CHAIN.raws(16)[0])


async def test_what_is_no_transaction_of_this_chain_is_offered_to_nobody(folder: Folder):
    peer = FullPeer(CHAIN, 15)
    lab = folder.open(peer)
    assert isinstance(await lab.chain.submit(b"x"), Rejected)
    other = HeaderChain([NEW])
    assert isinstance(await lab.chain.submit(other.raws(3)[0]), Rejected)
    assert peer.asked == []


async def test_a_proof_may_be_used_again_for_a_while_until_something_of_ours_is_final(
    folder: Folder,
):
    peer = FullPeer(CHAIN, 15)
    lab = folder.open(peer)
    await lab.chain.refresh()
    first = await lab.chain.read(KEYS, age_ms_max=60_000)
    asked = len(peer.asked)
    assert await lab.chain.read(KEYS, age_ms_max=60_000) is first
    assert len(peer.asked) == asked
    peer.height = 16
    await lab.chain.transaction(id_of(CHAIN.raws(16)[0]))
    assert (await lab.chain.read(KEYS, age_ms_max=60_000)).at.header.height == 16


async def test_many_questions_stay_within_what_a_peer_takes(folder: Folder):
    peer = FullPeer(CHAIN, 15)
    lab = folder.open(peer)
    await lab.chain.refresh()
    for _ in range(asking.REQUESTS_BURST + 8):
        assert (await lab.chain.block(14)).at.header.height == 14
    assert lab.peers.over_budget == 0
    assert peer.asked[-1] == GetFinalBlock(14)


async def test_two_final_blocks_of_one_height_are_told(folder: Folder):
    honest, twin = FullPeer(CHAIN, 15), FullPeer(CHAIN, 15)

    def lie(question: LightQuestion) -> bytes:
        assert isinstance(question, GetHeaders)
        ends = () if question.since_epoch else (CHAIN.end(0),)
        return encode(HeadersAnswer(ends, CHAIN.final(15, time_ms=START_MS)))

    twin.lie = lie
    lab = folder.open(honest, twin)
    for _ in range(2):
        await lab.chain.refresh()
    assert "contradict each other" in lab.chain.follower.fork


async def test_a_damaged_file_is_told_with_what_to_do(folder: Folder):
    lab = folder.open(FullPeer(CHAIN, 15))
    await lab.chain.refresh()
    lab.store.save([], b"damaged", "")
    with pytest.raises(CorruptStorageError, match=r"ledger\.checkpoint"):
        folder.open()
