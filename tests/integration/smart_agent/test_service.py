import asyncio
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.client import AgentClient, AgentOnionKeeper, AgentVoteSigner
from gateway.smart_agent.provision import create_agent
from gateway.smart_agent.sealed_key import KdfLimits, open_sealed_key
from gateway.smart_agent.unlock import find_unlock, load_unlock
from ledger.codec import canonical
from ledger.crypto import ed25519
from ledger.crypto.domains import NO_HASH, VoteKind, transaction_message, vote_message
from ledger.crypto.hashing import sha256
from ledger.errors import SignerError
from ledger.types.transaction import RegisterDevice, Transaction

pytestmark = pytest.mark.integration

CHAIN = b"i" * 32
A, B = b"a" * 32, b"b" * 32


def register_device(sender):
    body = RegisterDevice(device_id=A, profile_hash=B)
    return canonical.encode(Transaction(CHAIN, sender, 0, sender, 1000, 100, body))


async def test_gateway_and_ledger_get_their_signatures(agent):
    assert agent.client.describe().chain_id is None
    keys = agent.client.bind(CHAIN)
    agent.client.report_tip(is_at_tip=True, agents=1)
    assert keys == agent.client.describe()

    payload = register_device(keys.metering)
    signature = agent.client.sign_transaction("metering", payload)
    assert ed25519.verify_strict(keys.metering, transaction_message(payload), signature)

    signer = AgentVoteSigner(AgentClient(agent.socket_path))
    vote = signer.sign_vote(VoteKind.NOTARIZE, 0, 1, A)
    message = vote_message(CHAIN, VoteKind.NOTARIZE, 0, 1, A)
    assert signer.public_key == keys.consensus
    assert ed25519.verify_strict(keys.consensus, message, vote)
    with pytest.raises(SignerError, match=r"refused: sign-guard: .*another block"):
        signer.sign_vote(VoteKind.NOTARIZE, 0, 1, B)
    signer._client.close()


def test_keys_chain_and_guard_survive_a_restart_under_an_open_client(home, start):
    with start(home) as agent:
        keys = agent.client.bind(CHAIN)
        agent.client.report_tip(is_at_tip=True, agents=1)
        agent.client.sign_vote(VoteKind.FINALIZE, 0, 1, A)
        client = AgentClient(agent.socket_path)
        assert client.describe() == keys

    with start(home):
        assert client.describe() == keys
        client.report_tip(is_at_tip=True, agents=1)
        with pytest.raises(AgentError, match="sign-guard"):
            client.sign_vote(VoteKind.NULLIFY, 0, 1, NO_HASH)
        client.close()


async def test_many_threads_share_one_client(agent):
    keys = agent.client.bind(CHAIN)
    agent.client.report_tip(is_at_tip=True, agents=1)
    sign, payload = agent.client.sign_transaction, register_device(keys.metering)

    async with asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(asyncio.to_thread(sign, "metering", payload)) for _ in range(200)
        ]

    assert len({task.result() for task in asked}) == 1


def test_a_hung_agent_is_a_line_and_its_late_answer_is_not_taken_for_another(agent):
    client = AgentClient(agent.socket_path, timeout_s=0.3)
    keys = client.bind(CHAIN)
    agent.process.send_signal(signal.SIGSTOP)

    with pytest.raises(AgentError, match=r"did not answer within 0\.3 s"):
        client.sign_vote(VoteKind.NOTARIZE, 0, 1, A)
    agent.process.send_signal(signal.SIGCONT)

    assert agent.client.describe() == keys  # awake again
    assert client.describe() == keys
    client.close()


def test_without_an_agent_the_line_says_what_to_start(tmp_path):
    client = AgentClient(tmp_path / "home" / "run" / "agent.sock")

    with pytest.raises(AgentError) as caught:
        client.describe()

    assert str(caught.value) == (
        f"SmartAgent is not running at {tmp_path}/home/run/agent.sock:"
        f" start it with `smartshare agent --home {tmp_path}/home`"
    )


def test_a_killed_agents_socket_is_no_obstacle(home, start):
    with start(home) as agent:
        agent.kill()
        assert agent.socket_path.is_socket()
        with pytest.raises(AgentError, match="is not running"):
            agent.client.describe()

    with start(home) as agent:
        assert agent.client.describe().node


def test_a_second_agent_on_the_folder_is_refused_and_the_first_goes_on(home, start, agent):
    with pytest.raises(AssertionError, match="another SmartAgent runs on"), start(home):
        pass

    assert agent.client.describe().node


def test_an_agent_of_another_folder_does_not_take_the_socket(home, agent):
    other = home / "other"
    create_agent(other, find_unlock(other), KdfLimits(1, 8192))
    code = (
        "import asyncio, sys; from pathlib import Path;"
        "from gateway.smart_agent.service import serve;"
        "asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2]), lambda: print('ready')))"
    )

    argv = [sys.executable, "-c", code, str(other), str(agent.socket_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 1
    assert "another process listens at" in done.stderr
    assert agent.client.describe().node


def test_what_is_no_socket_is_never_deleted(home, start):
    (home / "run").mkdir()
    (home / "run" / "agent.sock").write_text("precious")

    with pytest.raises(AssertionError, match="is not a socket: remove it"), start(home):
        pass

    assert (home / "run" / "agent.sock").read_text() == "precious"


def test_a_path_longer_than_a_socket_address_works(tmp_path, start):
    home = tmp_path.joinpath(*["a-rather-long-folder-name"] * 8)
    create_agent(home / "agent", find_unlock(home / "agent"), KdfLimits(1, 8192))

    with start(home) as agent:
        assert len(str(agent.socket_path)) > 200
        assert agent.client.describe().node


def test_the_socket_is_private_and_gone_after_a_clean_stop(home, agent):
    assert stat.S_IMODE(agent.socket_path.stat().st_mode) == 0o600
    assert [path.name for path in agent.socket_path.parent.iterdir()] == ["agent.sock"]


def test_the_process_cannot_be_dumped(agent):
    limits = Path(f"/proc/{agent.process.pid}/limits").read_text().splitlines()

    [core] = [line.split() for line in limits if line.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]


def test_nothing_secret_in_argv_environment_or_log(home, agent):
    keys = agent.client.bind(CHAIN)
    agent.client.report_tip(is_at_tip=True, agents=1)
    agent.client.sign_vote(VoteKind.NOTARIZE, 0, 1, A)
    agent.client.sign_transaction("metering", register_device(keys.metering))
    with pytest.raises(AgentError, match="wrong-sender"):
        agent.client.sign_transaction("wallet", register_device(keys.metering))

    unlock = load_unlock(find_unlock(home / "agent"))
    root_secret = open_sealed_key(home / "agent" / "sealed.key", unlock)
    secrets = [unlock, unlock.hex().encode(), root_secret, root_secret.hex().encode()]
    proc = Path(f"/proc/{agent.process.pid}")
    shown = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes() + agent.log.encode()

    assert "refused transaction by the wallet key" in agent.log
    assert not any(secret in shown for secret in secrets)


AS_NOBODY = """
import asyncio, concurrent.futures.thread, os, sys
from pathlib import Path
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.provision import create_agent
from gateway.smart_agent.sealed_key import KdfLimits
from gateway.smart_agent.service import serve
from gateway.smart_agent.unlock import find_unlock

os.setgid(65534)
os.setuid(65534)
agent, run = Path(sys.argv[1]) / "agent", Path(sys.argv[1]) / "run"
create_agent(agent, find_unlock(agent), KdfLimits(1, 8192))


async def main():
    started = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve(agent, run / "agent.sock", started.set))
        await started.wait()
        client = AgentClient(run / "agent.sock")
        keys = await asyncio.to_thread(client.describe)
        client.close()
        serving.cancel()
    owner_of_proc = Path("/proc/self/environ").stat().st_uid
    print(len(keys.node), [path.name for path in run.iterdir()], owner_of_proc)


asyncio.run(main())
"""


def test_an_ordinary_user_can_run_it_and_nothing_stays_in_run(open_folder):
    """Undumpable and without root: /proc/self, which the socket's address uses, belongs to root."""
    argv = [sys.executable, "-c", AS_NOBODY, str(open_folder / "home")]

    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)

    assert done.stdout.strip() == "32 [] 0", done.stderr


ASK_AS_NOBODY = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    try:
        connection.sendall(bytes([0, 0, 0, 10, 0x91, 0xa8]) + b"describe")
        print(connection.recv(100))
    except ConnectionError:
        print(b"")
"""


def test_another_user_is_refused_even_when_the_file_system_lets_it_in(open_folder, start):
    create_agent(open_folder / "agent", find_unlock(open_folder / "agent"), KdfLimits(1, 8192))
    with start(open_folder) as agent:
        agent.socket_path.parent.chmod(0o755)
        agent.socket_path.chmod(0o666)

        argv = [sys.executable, "-c", ASK_AS_NOBODY, str(agent.socket_path)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)

        assert done.stdout.strip() == "b''"
        assert "refused a connection of user 65534" in agent.log
        assert agent.client.describe().node


def test_the_order_commitment_opens_for_the_ledger_layer_by_layer_after_a_restart_too(home, start):
    with start(home) as agent:
        client = AgentClient(agent.socket_path, timeout_s=30)
        commitment = client.onion_commitment()
        keeper = AgentOnionKeeper(client)
        first = keeper.reveal(commitment)
        assert sha256(first) == commitment
        with pytest.raises(SignerError, match="not a value of this SmartAgent's"):
            keeper.reveal(bytes(32))
        client.close()

    with start(home) as agent:
        client = AgentClient(agent.socket_path, timeout_s=30)
        with pytest.raises(AgentError, match="was used already"):
            client.onion_commitment()
        assert sha256(client.reveal_onion(first)) == first
        client.close()
