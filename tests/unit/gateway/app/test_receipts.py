"""Receipts and proofs from what is on disk, and one line where there can be none."""

import msgspec
import pytest

from gateway.app.receipts import make_proof, make_receipt
from gateway.errors import SettingsError, StoreError
from gateway.settings import Home
from ledger.codec.canonical import Decoder
from ledger.errors import GenesisError
from ledger.light import BrokenLink, VerifiedReading, verify_receipt
from ledger.types.genesis_file import format_genesis
from ledger.types.reading import ReadingProof
from tests.support.gateway_lab import GatewayLab
from tests.support.readings import store_run


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.create()
    return home


def make_lab(home: Home) -> GatewayLab:
    lab = GatewayLab(home.readings.parent, count_max=3)
    home.genesis.write_text(format_genesis(lab.chain.genesis))
    return lab


async def test_the_receipt_of_each_final_reading_is_valid(home):
    async with make_lab(home) as lab:
        device_id = lab.register("meter")
        await store_run(lab.store, "meter", 7)
        lab.start()
        await lab.until_anchored("meter", 7)

        for sequence in range(1, 8):
            text = make_receipt(home, "meter", sequence)
            verified = verify_receipt(text.encode(), lab.chain.genesis)
            assert isinstance(verified, VerifiedReading), verified
            assert verified.reading.sequence == sequence
            assert verified.reading.device_id == device_id
            assert msgspec.json.decode(text)


async def test_a_receipt_with_one_byte_changed_is_refused(home):
    async with make_lab(home) as lab:
        lab.register("meter")
        await store_run(lab.store, "meter", 3)
        lab.start()
        await lab.until_anchored("meter", 3)
        receipt = make_receipt(home, "meter", 2).encode()

        position = receipt.index(b'"reading"') + 30
        forged = receipt[:position] + bytes([receipt[position] ^ 1]) + receipt[position + 1 :]
        assert isinstance(verify_receipt(forged, lab.chain.genesis), BrokenLink)


async def test_a_proof_is_of_the_newest_final_reading_where_none_is_named(home):
    async with make_lab(home) as lab:
        lab.register("meter")
        await store_run(lab.store, "meter", 3)
        lab.start()
        await lab.until_anchored("meter", 3)
        lab.lose_submissions = True
        await store_run(lab.store, "meter", 6)
        await lab.until(lambda: (batch := lab.store.newest_batch("meter")) and batch.last == 9)

        decode = Decoder(ReadingProof).decode
        assert decode(make_proof(home, "meter")).index == 2
        assert decode(make_proof(home, "meter", 1)).index == 0


async def test_where_there_is_no_receipt_one_line_says_why(home):
    async with make_lab(home) as lab:
        lab.register("meter")
        lab.register("silent")
        await store_run(lab.store, "meter", 4)
        lab.lose_submissions = True
        lab.start()
        await lab.until(lambda: lab.store.newest_batch("meter"))

        for device, sequence, kind, words in (
            ("meter", 1, SettingsError, "reading 1 of meter: it is not final on the chain yet"),
            ("meter", 4, SettingsError, "not final"),
            ("meter", 5, SettingsError, "reading 5 of meter: the newest one is 4"),
            ("meter", 0, SettingsError, "the newest one is 4"),
            ("meter", -(2**70), SettingsError, "the newest one is 4"),
            ("meter", 2**70, SettingsError, "the newest one is 4"),
            ("silent", 1, SettingsError, "the newest one is 0"),
            ("other", 1, StoreError, "no device is named 'other'"),
        ):
            with pytest.raises(kind, match=words) as raised:
                make_receipt(home, device, sequence)
            assert "\n" not in str(raised.value)
        for device in ("meter", "silent"):
            with pytest.raises(SettingsError, match=f"no reading of {device} is final"):
                make_proof(home, device)


async def test_a_pruned_reading_has_no_receipt_any_more(home):
    async with make_lab(home) as lab:
        lab.register("meter")
        await store_run(lab.store, "meter", 3)
        lab.start()
        await lab.until_anchored("meter", 3)
        await lab.store.prune(lab.clock.now_ms() + 10**9, age_max_ms=0)

        with pytest.raises(SettingsError, match="reading 2 of meter: its batch was pruned"):
            make_receipt(home, "meter", 2)
        with pytest.raises(SettingsError, match="reading 3 of meter: its batch was pruned"):
            make_proof(home, "meter")


def test_without_a_genesis_or_a_store_one_line_says_so(home):
    with pytest.raises(SettingsError, match=r"genesis\.json: cannot be read"):
        make_receipt(home, "meter", 1)
    home.genesis.write_text("{}")
    with pytest.raises(GenesisError, match=r"genesis\.json: "):
        make_receipt(home, "meter", 1)
    with pytest.raises(StoreError, match=r"readings\.db"):
        make_proof(home, "meter")


async def test_an_anchor_whose_block_is_not_kept_has_no_receipts(home):
    async with make_lab(home) as lab:
        lab.register("meter")
        await store_run(lab.store, "meter", 3)
        lab.lose_submissions = True
        lab.start()
        await lab.until(lambda: lab.store.newest_batch("meter"))
        await lab.stop()
        batch = lab.store.newest_batch("meter")
        assert batch is not None
        await lab.store.mark_batch_final(batch.transaction_id, 7, b"")
        with pytest.raises(SettingsError, match="its anchor is final, in a block from while this"):
            make_receipt(home, "meter", 2)
        assert make_proof(home, "meter", 2), "a contract can still count it"
