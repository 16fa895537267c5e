"""Requests and responses between processes, through the real broker and paho-mqtt."""

import queue
import threading
import time

import msgspec
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from gateway.errors import MessagingError
from gateway.messaging.client import MqttConnection, MqttLogin, RpcClient
from gateway.messaging.server import RpcServer
from ledger.errors import StorageError

pytestmark = pytest.mark.integration

WAIT_S = 30.0
BLOCK = "ss/v1/gw1/ledger/block"


def login(broker, user="service", client_id="ledger"):
    return MqttLogin("127.0.0.1", broker.port, user, f"{user}-pw", "gw1", client_id)


def client(broker, user="service", password=None):
    password = f"{user}-pw" if password is None else password
    return RpcClient(MqttLogin("127.0.0.1", broker.port, user, password, "gw1", "cli"))


def hear(broker, topic_filter):
    """Return a list that fills with what the broker itself hears."""
    heard: list[bytes] = []
    broker.run(
        lambda: broker.broker.add_listener(topic_filter, lambda _topic, one: heard.append(one))
    )
    return heard


def publish_many(server):
    for number in range(500):
        server.publish_newest(BLOCK, b"%d" % number)


def until(is_so):
    """Wait for something that happens in another thread."""
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def refuse(request):
    raise StorageError("the chain database is read-only")


def stumble(request):
    return {"result": 1 / request["zero"]}


@pytest.fixture
def calls():
    """What the `echo` handler was asked."""
    return []


@pytest.fixture
def server(broker, calls):
    def echo(request):
        calls.append(request)
        return {"echo": request}

    connected = threading.Semaphore(0)
    handlers = {
        "echo": echo,
        "refuse": refuse,
        "stumble": stumble,
        "huge": lambda request: {"x": "y" * 300_000},
    }
    server = RpcServer(login(broker), "ledger", handlers, on_connect=connected.release)
    server.start()
    assert connected.acquire(timeout=WAIT_S)
    yield server
    server.stop()


def test_a_request_is_answered(broker, server):
    with client(broker) as rpc:
        assert rpc.call("ledger", "echo", {"a": "00ff"}) == {"echo": {"a": "00ff"}}
        assert rpc.call("ledger", "echo", {"b": 1}) == {"echo": {"b": 1}}


def test_many_threads_get_their_own_answers(broker, server):
    answers: dict[int, dict[str, object]] = {}
    with client(broker) as rpc:
        threads = [
            threading.Thread(
                target=lambda n=n: answers.__setitem__(n, rpc.call("ledger", "echo", {"n": n}))
            )
            for n in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)

    assert answers == {n: {"echo": {"n": n}} for n in range(20)}


def test_a_handlers_error_is_the_callers_error(broker, server):
    with client(broker) as rpc, pytest.raises(MessagingError, match="chain database is read-only"):
        rpc.call("ledger", "refuse", {})


def test_a_bug_in_a_handler_tells_where_to_look_and_the_service_lives(broker, server):
    with client(broker) as rpc:
        with pytest.raises(MessagingError, match="its log says why"):
            rpc.call("ledger", "stumble", {"zero": 0})
        assert rpc.call("ledger", "echo", {}) == {"echo": {}}


def test_an_unknown_request_names_the_known_ones(broker, server):
    with client(broker) as rpc, pytest.raises(MessagingError, match="echo, huge, refuse, stumble"):
        rpc.call("ledger", "nonsense", {})


def test_a_response_or_request_that_is_too_large_is_an_error(broker, server):
    with client(broker) as rpc:
        with pytest.raises(MessagingError, match="too many to send"):
            rpc.call("ledger", "huge", {})
        with pytest.raises(MessagingError, match="at most"):
            rpc.call("ledger", "echo", {"x": "y" * 300_000})


def test_no_answer_names_the_process_that_is_missing(broker):
    with client(broker) as rpc, pytest.raises(MessagingError, match="smartshare ledger"):
        rpc.call("ledger", "status", {}, timeout_s=0.2)


def test_a_wrong_password_is_one_clear_line(broker):
    with pytest.raises(MessagingError, match="did not let service in") as raised:
        client(broker, password="wrong").__enter__()

    assert "\n" not in str(raised.value)


def test_a_user_without_the_right_is_told_so(broker, server):
    with client(broker, "meter") as rpc, pytest.raises(MessagingError, match="may not subscribe"):
        rpc.call("ledger", "echo", {})


@pytest.mark.parametrize(
    "payload",
    [b"", b"[1]", b"\xff", b'{"transaction": "\xff"}', b"{}", b'{"transaction": 7}'],
)
def test_a_malformed_request_is_answered_with_an_error(paho, server, calls, payload):
    peer = paho("service")
    peer.subscribe("ss/v1/gw1/ledger/response/+", 1)

    peer.publish("ss/v1/gw1/ledger/request/echo", payload)

    response = msgspec.json.decode(peer.next().payload)
    assert set(response) == {"error", "transaction"}
    assert response["transaction"] is None
    assert calls == []


def test_a_request_delivered_twice_runs_once(broker, paho, server, calls):
    peer = paho("service")
    for _ in range(2):
        peer.publish("ss/v1/gw1/ledger/request/echo", b'{"transaction": "t1"}')

    with client(broker) as rpc:
        rpc.call("ledger", "echo", {"last": 1})

    assert calls == [{}, {"last": 1}]


def test_a_retained_request_is_not_run_again_by_a_server_that_starts(broker, paho, calls):
    paho("service").publish("ss/v1/gw1/ledger/request/echo", b'{"transaction": "t"}', retain=True)
    connected = threading.Semaphore(0)
    handlers = {"echo": lambda request: calls.append(request) or {}}
    server = RpcServer(login(broker), "ledger", handlers, on_connect=connected.release)
    server.start()
    assert connected.acquire(timeout=WAIT_S)

    with client(broker) as rpc:
        rpc.call("ledger", "echo", {"last": 1})
    server.stop()

    assert calls == [{"last": 1}]


def test_a_message_that_meets_a_bug_does_not_end_the_connection(broker, caplog):
    received: queue.Queue[bytes] = queue.Queue()

    def take(_topic, payload):
        received.put(payload)
        if payload == b"0":
            raise ZeroDivisionError

    connection = MqttConnection(login(broker), take)
    connection.open()
    connection.subscribe("ss/v1/gw1/ledger/request/x").result(WAIT_S)
    for payload in (b"0", b"1"):
        connection.publish("ss/v1/gw1/ledger/request/x", payload)

    assert [received.get(timeout=WAIT_S) for _ in range(2)] == [b"0", b"1"]
    connection.close()
    assert connection.is_alive
    assert "ZeroDivisionError" in caplog.text


def test_a_server_whose_thread_died_is_not_alive(broker, caplog):
    entered = threading.Event()

    def fail():
        entered.set()
        raise ZeroDivisionError

    server = RpcServer(login(broker), "ledger", {}, on_connect=fail)
    server.start()
    assert entered.wait(WAIT_S)
    server.stop()

    assert not server.is_alive
    assert "only a restart" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_what_waits_for_the_broker_is_bounded(start_broker):
    broker = start_broker()
    heard = hear(broker, "ss/v1/gw1/x")
    connected = threading.Semaphore(0)
    connection = MqttConnection(login(broker), lambda _topic, _payload: None)
    for number in range(1_000):
        assert not connection.publish("ss/v1/gw1/x", b"%d" % number)
    connection.keep_open(connected.release)
    assert connected.acquire(timeout=WAIT_S)

    until(lambda: connection.publish("ss/v1/gw1/x", b"last"))
    until(lambda: heard[-1:] == [b"last"])
    connection.close()

    assert heard == [*(b"%d" % number for number in range(100)), b"last"]


def test_only_the_newest_value_waits_for_a_broker(start_broker, caplog):
    caplog.set_level("INFO")
    broker = start_broker()
    heard = hear(broker, BLOCK)
    connected = threading.Semaphore(0)
    server = RpcServer(login(broker), "ledger", {}, on_connect=connected.release)

    publish_many(server)
    server.start()
    assert connected.acquire(timeout=WAIT_S)
    server.publish_newest(BLOCK, b"next")
    until(lambda: heard[-1:] == [b"next"])
    assert heard == [b"499", b"next"]

    broker.stop()
    until(lambda: "connection to the broker was lost" in caplog.text)
    publish_many(server)
    again = start_broker(port=broker.port)
    assert connected.acquire(timeout=WAIT_S)
    heard = hear(again, BLOCK)
    until(lambda: heard)
    server.publish_newest(BLOCK, b"next")
    until(lambda: heard[-1:] == [b"next"])
    server.stop()

    assert heard == [b"499", b"next"]


def test_the_newest_value_promises_nothing_that_the_broker_must_commit(broker):
    connected = threading.Semaphore(0)
    server = RpcServer(login(broker), "ledger", {}, on_connect=connected.release)
    server.start()
    assert connected.acquire(timeout=WAIT_S)
    heard: queue.Queue[MQTTMessage] = queue.Queue()
    listener = Client(CallbackAPIVersion.VERSION2)
    listener.username_pw_set("service", "service-pw")
    listener.on_message = lambda _client, _userdata, message: heard.put(message)
    listener.on_subscribe = lambda *_: server.publish_newest(BLOCK, b"7")
    listener.connect("127.0.0.1", broker.port)
    listener.subscribe(BLOCK, qos=1)
    listener.loop_start()
    message = heard.get(timeout=WAIT_S)
    listener.disconnect()
    listener.loop_stop()
    server.stop()

    assert (message.payload, message.qos) == (b"7", 0)


def test_a_new_broker_is_told_the_newest_value_again(start_broker):
    broker = start_broker()
    connected = threading.Semaphore(0)
    server = RpcServer(login(broker), "ledger", {}, on_connect=connected.release)
    server.start()
    assert connected.acquire(timeout=WAIT_S)
    heard = hear(broker, BLOCK)
    server.publish_newest(BLOCK, b"7")
    until(lambda: heard == [b"7"])

    broker.stop()
    again = start_broker(port=broker.port)
    heard = hear(again, BLOCK)
    until(lambda: heard == [b"7"])
    server.stop()


def test_the_server_comes_back_after_the_broker_did(start_broker):
    first = start_broker()
    connected = threading.Semaphore(0)
    handlers = {"echo": lambda request: {"echo": request}}
    server = RpcServer(login(first), "ledger", handlers, on_connect=connected.release)
    server.start()
    assert connected.acquire(timeout=WAIT_S)

    first.stop()
    second = start_broker(port=first.port)

    assert connected.acquire(timeout=WAIT_S)
    with client(second) as rpc:
        assert rpc.call("ledger", "echo", {"a": 1}) == {"echo": {"a": 1}}
    server.stop()


@pytest.mark.slow
def test_a_server_that_started_before_the_broker_finds_it(start_broker):
    early = start_broker()
    early.stop()
    connected = threading.Semaphore(0)
    server = RpcServer(login(early), "ledger", {}, on_connect=connected.release)
    server.start()

    start_broker(port=early.port)

    assert connected.acquire(timeout=WAIT_S)
    server.stop()


def test_a_connection_is_ready_once_its_subscriptions_are_granted(broker):
    ready: queue.Queue[bool] = queue.Queue()
    connection = MqttConnection(login(broker), lambda _topic, _payload: None)
    granted = connection.subscribe("ss/v1/gw1/ledger/request/+")
    connection.keep_open(lambda: ready.put(granted.done()))
    try:
        assert ready.get(timeout=WAIT_S)
    finally:
        connection.close()


def test_stopping_waits_for_running_requests_and_never_hangs(broker):
    entered, go_on = threading.Event(), threading.Event()

    def slow(request):
        entered.set()
        assert go_on.wait(WAIT_S)
        return {"done": True}

    connected = threading.Semaphore(0)
    server = RpcServer(login(broker), "ledger", {"slow": slow}, on_connect=connected.release)
    server.start()
    assert connected.acquire(timeout=WAIT_S)
    answers = []
    with client(broker) as rpc:
        thread = threading.Thread(target=lambda: answers.append(rpc.call("ledger", "slow", {})))
        thread.start()
        assert entered.wait(WAIT_S)
        stopper = threading.Thread(target=server.stop)
        started = time.monotonic()
        stopper.start()
        go_on.set()
        stopper.join(WAIT_S)
        thread.join(WAIT_S)

    assert answers == [{"done": True}]
    assert time.monotonic() - started < 5


def test_stopping_without_a_broker_does_not_hang(start_broker):
    broker = start_broker()
    broker.stop()
    server = RpcServer(login(broker), "ledger", {})
    server.start()

    stopper = threading.Thread(target=server.stop)
    stopper.start()
    stopper.join(WAIT_S)

    assert not stopper.is_alive()
