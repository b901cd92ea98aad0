"""Choosing among phones, and saying what is wrong with them."""

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace

import adbutils
import pytest

from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.adb_link import AdbLink
from qwen2vl_agent.envs.virtual_phone.adbd import PRIVATE_MODEL
from qwen2vl_agent.envs.virtual_phone.server import PhoneProcess
from qwen2vl_agent.schema.errors import ConfigError, DeviceLost


@dataclass
class Listing:
    """An adb server that only lists."""

    lines: list[tuple[str, str]]
    models: dict[str, str] = field(default_factory=dict)
    port: int = 1

    def list(self, extended: bool) -> list[SimpleNamespace]:
        assert extended
        return [
            SimpleNamespace(serial=serial, state=state, tags={"model": self.models.get(serial, "")})
            for serial, state in self.lines
        ]


@pytest.mark.parametrize(
    ("lines", "serial", "said"),
    [
        ([], None, "no phone is attached; plug one in"),
        ([("A", "device"), ("B", "device")], None, "several phones are attached: A (device), B (device)"),
        ([("A", "unauthorized")], None, "phone A is unauthorized: unlock it and accept"),
        ([("A", "offline"), ("B", "device")], "A", "phone A is offline: unplug"),
        ([("A", "no")], None, "udev rules"),
        ([("A", "recovery")], None, "reboot it into Android"),
        ([("A", "device")], "C", "no phone C is attached (attached: A (device))"),
    ],
)
def test_a_phone_that_cannot_be_used_is_named_with_what_to_do(lines, serial, said) -> None:
    with pytest.raises(DeviceLost) as caught:
        adb_server.choose(Listing(lines), serial)
    assert said in str(caught.value)


def test_the_one_ready_phone_is_chosen() -> None:
    listing = Listing([("A", "offline"), ("B", "device"), ("127.0.0.1:1", "offline")])
    assert adb_server.choose(listing) == "B"
    assert adb_server.choose(listing, "B") == "B"


def test_other_processes_own_phones_are_left_to_them() -> None:
    listing = Listing([("127.0.0.1:5", "device"), ("127.0.0.1:6", "offline")], {"127.0.0.1:5": PRIVATE_MODEL})
    assert not adb_server.available(listing)
    with pytest.raises(DeviceLost, match="no phone is attached"):
        adb_server.choose(listing)
    assert adb_server.choose(listing, "127.0.0.1:5") == "127.0.0.1:5"


def test_our_own_phones_are_seen_as_private(adb_client: adbutils.AdbClient, phone_process: PhoneProcess) -> None:
    assert adb_server.Attached(phone_process.serial, "device", private=True) in adb_server.attached(adb_client)


def test_several_that_need_a_server_at_once_all_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    try:
        with ThreadPoolExecutor(6) as pool:
            clients = list(pool.map(lambda _: adb_server.adb_client(), range(6)))
        assert {client.port for client in clients} == {port}
        assert all(client.server_version() for client in clients)
    finally:
        subprocess.run([adb_server.adb_path(), "-P", str(port), "kill-server"], capture_output=True, check=False)


def test_a_wrong_adb_binary_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADBUTILS_ADB_PATH", "/no/such/adb")
    with pytest.raises(ConfigError, match="/no/such/adb"):
        adb_server.adb_path()


def test_nobody_at_an_address_is_told(adb_client: adbutils.AdbClient) -> None:
    with pytest.raises(DeviceLost, match=r"no phone answers at 127\.0\.0\.1:1"):
        adb_server.connect(adb_client, "127.0.0.1:1")


def test_a_link_without_server_or_phone_is_lost(adb_client: adbutils.AdbClient) -> None:
    with pytest.raises(DeviceLost, match="does not answer"):
        AdbLink(adb_client, "no-such-phone").shell("true")


def test_a_phone_that_is_too_slow_is_lost(adb_client: adbutils.AdbClient, phone_process: PhoneProcess) -> None:
    with pytest.raises(DeviceLost, match=r"did not answer within 0\.2 s"):
        AdbLink(adb_client, phone_process.serial, timeout_s=0.2).shell("sleep 5")


def test_a_file_that_is_refused_is_told(adb_client: adbutils.AdbClient, phone_process: PhoneProcess) -> None:
    with pytest.raises(DeviceLost, match="Read-only file system"):
        AdbLink(adb_client, phone_process.serial).push(b"x", "/system/x")
