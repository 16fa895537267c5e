"""`chain checkpoint`, `chain snapshot` and `init --checkpoint --snapshot`, as an operator types them."""

import asyncio
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.settings import Home
from ledger.storage.reader import ChainReader
from ledger.types.genesis_file import format_genesis
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def grow(lab: SnapshotLab, count: int) -> None:
    node = lab.open_keeping()
    try:
        await lab.grow(node, 0, count)
    finally:
        node.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out.strip(), err.strip()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def lab(home: Home) -> SnapshotLab:
    return SnapshotLab(home.chain.parent)


def test_a_node_starts_from_the_files_that_another_gives(
    home: Home, lab: SnapshotLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    asyncio.run(grow(lab, 2 * EPOCH_BLOCKS + 1))
    genesis, file = tmp_path / "genesis.json", tmp_path / "state.snapshot"
    genesis.write_text(format_genesis(lab.genesis))
    code, checkpoint, _ = run(capsys, "chain", "checkpoint", "--home", str(home.path))
    assert (code, checkpoint) == (0, str(lab.checkpoint()))
    code, out, _ = run(capsys, "chain", "snapshot", "-o", str(file), "--home", str(home.path))
    assert code == 0
    assert "epoch 1" in out

    joined = Home(tmp_path / "joined")
    joining = ("init", "--home", str(joined.path), "--join", str(genesis))
    start = ("--snapshot", str(file), "--checkpoint")
    wrong = "1:" + "00" * 32
    code, _, err = run(capsys, *joining, *start, wrong)
    assert code == 1
    assert "does not stand on the checkpoint" in err
    assert not joined.path.exists()
    code, _, err = run(capsys, *joining, *start, checkpoint)
    assert code == 0, err
    reader = ChainReader.open(joined.chain)
    try:
        tip = reader.tip()
        assert tip is not None
        assert tip.header.height == reader.pruned_height() == 2 * EPOCH_BLOCKS
    finally:
        reader.close()


def test_before_the_first_epoch_ends_there_is_nothing_to_give(
    home: Home, lab: SnapshotLab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    asyncio.run(grow(lab, 1))
    at_home = ("--home", str(home.path))
    for command in (("checkpoint",), ("snapshot", "-o", str(tmp_path / "file"))):
        code, _, err = run(capsys, "chain", *command, *at_home)
        assert code == 1
        assert "epoch" in err
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--new-network", "--light"), "--light needs --join and --peer"),
        (("--light", "--join", "g.json"), "--light needs --join and --peer"),
        (
            ("--light", "--join", "g.json", "--peer", "x@h:1", "--ledger-listen", "h:1"),
            "--light takes no --ledger-listen",
        ),
    ],
)
def test_a_light_gateway_needs_a_chain_and_a_peer_and_listens_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], what: str
):
    code, _, err = run(capsys, "init", "--home", str(tmp_path / "x"), *arguments)
    assert code == 1
    assert what in err


def test_a_checkpoint_is_of_a_chain_to_join(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, _, err = run(
        capsys, "init", "--home", str(tmp_path / "x"), "--new-network", "--checkpoint", "1:00"
    )
    assert code == 1
    assert "--checkpoint needs --join" in err
