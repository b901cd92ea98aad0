"""adb's own client and adbutils on a virtual phone, through a real adb server."""

import concurrent.futures
import io
import json
from pathlib import Path

import adbutils
import pytest
from phone_shell import SMALL, Adb
from PIL import Image, ImageChops

from qwen2vl_agent.envs import adb_server
from qwen2vl_agent.envs.virtual_phone.faults import Faults
from qwen2vl_agent.envs.virtual_phone.phone import VirtualPhone
from qwen2vl_agent.envs.virtual_phone.server import PhoneProcess, start_virtual_phone
from qwen2vl_agent.envs.virtual_phone.state import PhoneState, random_state
from qwen2vl_agent.envs.virtual_phone.words import Words

ADBUTILS_LEAVES_SOCKETS = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def device(adb: Adb, adb_client: adbutils.AdbClient, phone_process: PhoneProcess) -> adbutils.AdbDevice:
    return adb_client.device(phone_process.serial)


def state_of(adb: Adb) -> PhoneState:
    return PhoneState.from_json(json.loads(adb("shell", "cmd virtual-phone state").stdout))


@pytest.mark.parametrize(
    ("line", "status", "out", "err"),
    [
        ("echo 'a  b' \"c $?\"; echo d", 0, b"a  b c 0\nd\n", b""),
        ("true && echo yes || echo no", 0, b"yes\n", b""),
        ("false || exit 7", 7, b"", b""),
        ("pm list packages | grep settings", 0, b"package:com.android.settings\n", b""),
        ("nope", 127, b"", b"/system/bin/sh: nope: inaccessible or not found\n"),
        ("echo bad >&2; echo good", 0, b"good\n", b"bad\n"),
    ],
)
def test_adb_shell_gives_output_errors_and_status(adb: Adb, line: str, status: int, out: bytes, err: bytes) -> None:
    done = adb("shell", line)
    assert (done.returncode, done.stdout, done.stderr) == (status, out, err)


def test_adb_shell_takes_lines_from_standard_input(adb: Adb) -> None:
    done = adb("shell", stdin=b"echo one\necho two | wc -c\nexit 5\necho three\n")
    assert (done.returncode, done.stdout) == (5, b"one\n4\n")


def test_a_terminal_gets_a_prompt_and_an_echo(adb: Adb) -> None:
    done = adb("shell", "-tt", stdin=b"echo hx\x7fi\nexit 3\n")
    assert done.returncode == 3
    assert done.stdout.decode().startswith("virtual_phone:/ $ echo hx\b \bi\r\nhi\r\nvirtual_phone:/ $ exit 3")


def test_exec_out_screencap_is_the_phones_picture_pixel_for_pixel(adb: Adb) -> None:
    same = VirtualPhone(random_state(5, Words.test()), SMALL)
    seen = Image.open(io.BytesIO(adb("exec-out", "screencap", "-p").stdout))
    assert ImageChops.difference(seen, same.image()).getbbox() is None
    same.swipe(270, 900, 270, 300, 0.3)
    assert adb("shell", "input", "swipe", "270", "900", "270", "300").returncode == 0
    seen = Image.open(io.BytesIO(adb("exec-out", "screencap -p").stdout))
    assert ImageChops.difference(seen, same.image()).getbbox() is None


def test_files_go_there_and_back(adb: Adb, tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "there").write_bytes(data)
    (tmp_path / "empty").write_bytes(b"")
    assert adb("push", str(tmp_path / "there"), str(tmp_path / "empty"), "/sdcard/Download/").returncode == 0
    assert adb("pull", "/sdcard/Download/there", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == data
    assert adb("shell", "wc -c /storage/emulated/0/Download/there").stdout.startswith(b"1280000")
    assert adb("push", str(tmp_path / "there"), "/sdcard/new/deep/file").returncode == 0
    assert adb("pull", "/sdcard", str(tmp_path / "all")).returncode == 0
    assert (tmp_path / "all" / "new" / "deep" / "file").read_bytes() == data
    assert adb("pull", "/sdcard/none", str(tmp_path)).returncode == 1
    refused = adb("push", str(tmp_path / "there"), "/system/x")
    assert (refused.returncode, b"Read-only file system" in refused.stderr) == (1, True)


@ADBUTILS_LEAVES_SOCKETS
def test_adbutils_sees_and_drives_the_phone(device: adbutils.AdbDevice, adb: Adb) -> None:
    assert device.window_size() == SMALL
    assert device.screenshot(error_ok=False).size == SMALL
    assert device.framebuffer().convert("RGB").tobytes() == device.screenshot(error_ok=False).tobytes()
    device.app_start("com.android.contacts")
    current = device.app_current()
    assert (current.package, current.activity) == (
        "com.android.contacts",
        "com.android.contacts.activities.PeopleActivity",
    )
    device.keyevent("KEYCODE_SEARCH")
    device.send_keys('it\'s 5% "of" $x')
    page = state_of(adb).page
    assert page.fields[page.focus] == 'it\'s 5% "of" $x'
    assert "hierarchy" in device.dump_hierarchy()
    device.app_start("com.android.settings", ".Settings")
    before = device.dump_hierarchy()
    device.swipe(270, 900, 270, 300, 0.2)
    assert device.dump_hierarchy() != before
    device.app_stop("com.android.settings")
    assert device.app_current().package == "com.android.launcher3"
    device.click(270, 600)
    assert "com.android.settings" in device.list_packages()
    assert device.shell2("echo a; exit 6", v2=True).returncode == 6
    assert device.shell2("nope").returncode == 127
    device.sync.push(b"bytes", "/data/local/tmp/b")
    assert device.sync.read_bytes("/data/local/tmp/b") == b"bytes"
    assert {"b", "uidump.xml"} <= {item.path for item in device.sync.iter_directory("/data/local/tmp")}
    assert (device.rotation(), device.prop.model) == (0, "VP 2")


def test_two_phones_are_driven_at_once(adb_client: adbutils.AdbClient, adb: Adb, phone_process: PhoneProcess) -> None:
    with start_virtual_phone(9, size=(270, 600)) as other:
        adb_server.connect(adb_client, other.serial)
        devices = [adb_client.device(serial) for serial in (phone_process.serial, other.serial)]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            sizes = list(pool.map(lambda index: devices[index % 2].screenshot(error_ok=False).size, range(6)))
        assert sizes == [SMALL, (270, 600)] * 3
        devices[1].keyevent("KEYCODE_APP_SWITCH")
        assert state_of(adb).foreground == "launcher"
        adb_server.disconnect(other.serial)


@ADBUTILS_LEAVES_SOCKETS
def test_a_phone_with_the_offline_fault_drops_off_its_cable(adb_client: adbutils.AdbClient) -> None:
    with start_virtual_phone(1, size=(270, 600), faults=Faults(offline_after=3)) as process:
        device = adb_client.device(adb_server.connect(adb_client, process.serial))
        answers = [device.shell("echo up") for _ in range(3)]
        assert answers == ["up"] * 3
        with pytest.raises(adbutils.AdbError):
            device.shell("echo up", timeout=5)
        adb_server.disconnect(process.serial)
