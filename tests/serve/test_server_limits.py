"""What servers do with clients that are too many, too slow, too fast or too large, on real sockets."""

import asyncio
import http.client
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from qwen2vl_agent.envs.virtual_phone import adbd
from qwen2vl_agent.envs.virtual_phone.packets import CNXN, VERSION_WITHOUT_CHECKSUM, Packet
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.server import serve_phone
from qwen2vl_agent.envs.virtual_phone.state import random_state
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.serve import viewer_server
from qwen2vl_agent.serve.access import Access, AccessRules
from qwen2vl_agent.serve.patience import Patience
from qwen2vl_agent.serve.rate import MOST_ADDRESSES, RateLimit
from qwen2vl_agent.serve.running import bound_socket, running

PATIENCE = Patience(max_connections=4, head_s=0.5, idle_s=1, taking_s=0.5)
ENOUGH_S = 10.0
FLOOD = b"x" * 2**20


async def echo(scope, receive, send) -> None:
    """Reads a body to its end; answers `/flood` with more than a socket holds, anything else with the body's length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    pieces = [FLOOD] * 64 if scope["path"] == "/flood" else [str(size).encode()]
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def serving(**rules) -> Iterator[tuple[str, int]]:
    listening = bound_socket("127.0.0.1", 0)
    port = listening.getsockname()[1]
    with running(Access(echo, AccessRules(host="127.0.0.1", port=port, **rules)), listening, PATIENCE):
        yield "127.0.0.1", port


def answer_to(
    place: tuple[str, int], path: str = "/", headers: dict | None = None
) -> tuple[int, http.client.HTTPMessage]:
    wire = http.client.HTTPConnection(*place, timeout=ENOUGH_S)
    try:
        wire.request("GET", "/", headers=headers or {})
        answer = wire.getresponse()
        answer.read()
        return answer.status, answer.headers
    finally:
        wire.close()


def seconds_until_cut_off(wire: socket.socket, drip: bytes = b"") -> float:
    """How long a server bears with a client that sends `drip` again and again."""
    begun = time.monotonic()
    wire.settimeout(0.1)
    while time.monotonic() - begun < ENOUGH_S:
        try:
            if drip:
                wire.sendall(drip)
            if not wire.recv(2**16):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - begun


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\n"], ids=["nothing", "half a head"])
@pytest.mark.parametrize("drip", [b"", b"X-A: b\r\n"], ids=["silence", "one line after another"])
def test_who_does_not_finish_the_head_of_a_request_is_cut_off(begun, drip):
    with serving() as place, socket.create_connection(place) as wire:
        wire.sendall(begun or (drip and b"GET / HTTP/1.1\r\n"))
        assert 0.3 < seconds_until_cut_off(wire, drip) < 5


def test_the_second_request_of_a_connection_has_as_little_time():
    with serving() as place, socket.create_connection(place) as wire:
        host = f"Host: 127.0.0.1:{place[1]}\r\n"
        wire.sendall(f"GET / HTTP/1.1\r\n{host}\r\n".encode())
        assert b"200 OK" in wire.recv(2**16)
        wire.sendall(b"GET / HTTP/1.1\r\n")
        assert seconds_until_cut_off(wire, b"X-A: b\r\n") < 5


@pytest.mark.parametrize("limit", [{"silence_s": 0.3}, {"body_s": 0.3}], ids=["a pause", "a drop now and then"])
def test_a_body_that_does_not_come_is_not_waited_for(limit):
    with serving(**limit) as place, socket.create_connection(place, timeout=ENOUGH_S) as wire:
        wire.sendall(f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{place[1]}\r\nContent-Length: 100000\r\n\r\n".encode())
        if "body_s" in limit:
            for _ in range(6):
                wire.sendall(b"x")
                time.sleep(0.1)
        assert wire.recv(2**16).startswith(b"HTTP/1.1 408 ")
        assert seconds_until_cut_off(wire, b"x") < 8


def test_who_does_not_take_an_answer_is_cut_off():
    with serving() as place, socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.connect(place)
        wire.sendall(f"GET /flood HTTP/1.1\r\nHost: 127.0.0.1:{place[1]}\r\n\r\n".encode())
        time.sleep(2)
        wire.settimeout(ENOUGH_S)
        taken = 0
        try:
            while piece := wire.recv(2**20):
                taken += len(piece)
        except ConnectionResetError:
            pass
        assert taken < 64 * len(FLOOD)


def test_a_head_that_is_too_long_is_refused():
    with serving() as place, socket.create_connection(place, timeout=ENOUGH_S) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nX-A: " + b"a" * (PATIENCE.max_head_bytes + 1))
        assert wire.recv(2**16).startswith(b"HTTP/1.1 400 ")


def test_more_connections_than_there_is_room_for_are_answered_503_and_then_cut_off():
    with serving() as place, ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(place)) for _ in range(PATIENCE.max_connections)]
        assert answer_to(place)[0] == 503
        idle += [stack.enter_context(socket.create_connection(place)) for _ in range(PATIENCE.max_connections)]
        with socket.create_connection(place) as wire:
            assert seconds_until_cut_off(wire) < 0.4
        for wire in idle:
            wire.close()
        deadline = time.monotonic() + ENOUGH_S
        while answer_to(place)[0] != 200:
            assert time.monotonic() < deadline, "there is no room again"
            time.sleep(0.1)


def test_who_asks_too_often_is_told_when_to_come_back():
    with serving(requests_per_s=2, burst=5) as place:
        answers = [answer_to(place) for _ in range(8)]
        assert [status for status, _ in answers][:5] == [200] * 5
        refused = [headers for status, headers in answers if status == 429]
        assert refused
        assert all(int(headers["retry-after"]) >= 1 for headers in refused)
        time.sleep(1.2)
        assert answer_to(place)[0] == 200


def test_a_bucket_fills_again_at_its_pace():
    now = [0.0]
    limit = RateLimit(2, 3, lambda: now[0])
    assert [limit.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert limit.wait_s("b") == 0
    now[0] = 0.5
    assert [limit.wait_s("a") for _ in range(2)] == [0, 0.5]
    now[0] = 100
    assert [limit.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_the_buckets_of_many_addresses_take_no_more_room():
    limit = RateLimit(1, 1, lambda: 0.0)
    for number in range(3 * MOST_ADDRESSES):
        limit.wait_s(str(number))
    assert len(limit._buckets) == MOST_ADDRESSES


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 200),
    ],
)
def test_requests_that_other_pages_cause_are_refused_by_what_their_browser_says(headers, status):
    with serving() as place:
        assert answer_to(place, headers=headers)[0] == status


def test_a_websocket_is_never_opened():
    with serving() as place, socket.create_connection(place, timeout=ENOUGH_S) as wire:
        wire.sendall(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{place[1]}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Origin: https://evil.example\r\n\r\n".encode()
        )
        assert wire.recv(2**16).startswith(b"HTTP/1.1 403 ")


def test_the_viewers_clients_are_limited_too(tmp_path, monkeypatch):
    monkeypatch.setattr(viewer_server, "SILENCE_S", 0.5)
    monkeypatch.setattr(viewer_server, "LONGEST_S", 1.5)
    monkeypatch.setattr(viewer_server, "MOST_CONNECTIONS", 4)
    with viewer_server.make_server(viewer_server.Gallery({}), 0) as server, ExitStack() as stack:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        place = ("127.0.0.1", server.server_address[1])
        with socket.create_connection(place) as silent:
            assert 0.3 < seconds_until_cut_off(silent) < 1.4
        with socket.create_connection(place) as dripping:
            dripping.sendall(b"GET / HTTP/1.1\r\n")
            assert 1.0 < seconds_until_cut_off(dripping, b"X-A: b\r\n") < 5
        idle = [stack.enter_context(socket.create_connection(place)) for _ in range(4)]
        with socket.create_connection(place) as one_too_many:
            assert seconds_until_cut_off(one_too_many) < 0.4
        assert len(idle) == 4
        deadline = time.monotonic() + ENOUGH_S
        while not listed(place):
            assert time.monotonic() < deadline, "there is no room again"
            time.sleep(0.1)


def listed(place: tuple[str, int]) -> bool:
    """Whether the viewer answers."""
    try:
        return answer_to(place)[0] == 200
    except (http.client.HTTPException, ConnectionError):
        return False


def test_the_virtual_phones_clients_are_limited_too(monkeypatch):
    monkeypatch.setattr(adbd, "GREETING_S", 0.5)
    monkeypatch.setattr(adbd, "PACKET_S", 0.5)
    monkeypatch.setattr(adbd, "MAX_CONNECTIONS", 3)
    with phone_in_thread() as place, ExitStack() as stack:
        with socket.create_connection(place) as silent:
            assert 0.3 < seconds_until_cut_off(silent) < 5
        greeting = Packet(CNXN, VERSION_WITHOUT_CHECKSUM, 4096, b"host::").encode(checksum=True)
        greeted = [stack.enter_context(socket.create_connection(place)) for _ in range(3)]
        for wire in greeted:
            wire.sendall(greeting)
            assert wire.recv(2**16)[:4] == b"CNXN"
        with socket.create_connection(place) as one_too_many:
            assert seconds_until_cut_off(one_too_many) < 0.4
        greeted[0].sendall(greeting[:5])  # half a packet, and nothing more
        assert 0.3 < seconds_until_cut_off(greeted[0]) < 5
        time.sleep(0.6)
        greeted[1].sendall(greeting)  # who has greeted may be silent for as long as they like
        assert greeted[1].recv(2**16)[:4] == b"CNXN"


@contextmanager
def phone_in_thread() -> Iterator[tuple[str, int]]:
    phone, ready, loop = (
        VirtualPhone(random_state(1, Words.test()), (270, 600)),
        queue.Queue(),
        asyncio.new_event_loop(),
    )
    task = loop.create_task(serve_phone(phone, on_ready=ready.put))

    def serve() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield "127.0.0.1", ready.get(timeout=ENOUGH_S)
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(ENOUGH_S)
