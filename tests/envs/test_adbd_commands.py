"""The commands of the virtual phone, in Android's formats."""

import io
import json
import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phone_shell import PhoneShell
from PIL import Image, ImageChops

from qwen2vl_agent.envs.android_apps import LIST_COMMAND, parse_apps
from qwen2vl_agent.envs.hierarchy import parse_xml
from qwen2vl_agent.envs.virtual_phone.commands import COMMANDS
from qwen2vl_agent.envs.virtual_phone.faults import Faults, format_faults, parse_faults
from qwen2vl_agent.envs.virtual_phone.state import PhoneState
from qwen2vl_agent.schema.errors import ConfigError


@pytest.fixture
def shell() -> PhoneShell:
    return PhoneShell()


def focused_field(shell: PhoneShell) -> None:
    """Open Contacts and put the focus into its search field."""
    shell.run("am start -n com.android.contacts/.activities.PeopleActivity; input keyevent SEARCH")
    assert "=null" not in shell.run("dumpsys input_method | grep mServedInputConnection").out


def typed(shell: PhoneShell) -> str:
    page = shell.system.phone.state.page
    return page.fields[page.focus]


def test_screencap_gives_the_screen_pixel_for_pixel_as_png_and_raw(shell: PhoneShell) -> None:
    shown = shell.phone.image()
    png = Image.open(io.BytesIO(shell.run("screencap -p").data))
    assert ImageChops.difference(png, shown).getbbox() is None
    raw = shell.run("screencap").data
    assert struct.unpack_from("<3I", raw) == (360, 800, 1)
    assert ImageChops.difference(Image.frombytes("RGBA", (360, 800), raw[16:]).convert("RGB"), shown).getbbox() is None


def test_screencap_writes_files(shell: PhoneShell) -> None:
    assert shell.run("screencap -p /sdcard/a; screencap /sdcard/b.png; cat /sdcard/a > /sdcard/c").status == 0
    assert shell.system.files.read("/sdcard/a") == shell.system.files.read("/sdcard/b.png")
    assert shell.run("screencap /system/x").status == 1


def test_screenrecord_gives_decodable_video(shell: PhoneShell) -> None:
    import av

    data = shell.run("screenrecord --output-format=h264 --time-limit 0.1 --size=180x400 -").data
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in [*decoder.parse(data), *decoder.parse(b""), None] for frame in decoder.decode(packet)]
    assert (frames[0].width, frames[0].height) == (180, 400)


def test_wm_reports_and_overrides_the_size(shell: PhoneShell) -> None:
    assert shell.run("wm size").out == "Physical size: 360x800\n"
    shell.run("wm size 270x600; wm density 200")
    assert shell.run("wm size").out == "Physical size: 360x800\nOverride size: 270x600\n"
    assert shell.run("wm density").out == "Physical density: 160\nOverride density: 200\n"
    assert Image.open(io.BytesIO(shell.run("screencap -p").data)).size == (270, 600)
    assert "cur=270x600" in shell.run("dumpsys window").out
    shell.run("wm size reset; wm density reset")
    assert shell.run("wm size; wm density").out == "Physical size: 360x800\nPhysical density: 160\n"
    assert shell.run("wm size 1x1").status == shell.run("wm density abc").status == 255


def test_am_opens_settings_pages_by_androids_intents(shell: PhoneShell) -> None:
    ran = shell.run("am start -a android.settings.WIFI_SETTINGS")
    assert ran.out == "Starting: Intent { act=android.settings.WIFI_SETTINGS }\n"
    assert shell.run("dumpsys window | grep mCurrentFocus").out.strip().endswith("com.android.settings.Settings}")
    assert any(item.text == "Use Wi-Fi" for item in shell.phone.elements())


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        ("-a android.intent.action.VIEW -d https://example.org/a?b=c", "com.android.browser"),
        ("-a android.intent.action.SENDTO -d smsto:123 --es sms_body 'a b'", "com.android.messaging"),
        ("-a android.intent.action.DIAL -d tel:123", "com.android.dialer"),
        ("-a android.intent.action.SET_ALARM --ei android.intent.extra.alarm.HOUR 7", "com.android.deskclock"),
        ("-a android.intent.action.MAIN -c android.intent.category.APP_CALCULATOR", "com.android.calculator2"),
        ("-a android.intent.action.MAIN -c android.intent.category.HOME", "com.android.launcher3"),
        ("-n com.android.settings/.Settings -W -S", "com.android.settings"),
        ("com.android.calendar", "com.android.calendar"),
    ],
)
def test_am_starts_what_answers_an_intent(shell: PhoneShell, arguments: str, package: str) -> None:
    assert shell.run("am start " + arguments).status == 0
    assert shell.phone.foreground[0] == package


def test_am_says_what_it_cannot_start(shell: PhoneShell) -> None:
    ran = shell.run("am start -n com.example/.Main")
    assert ran.status == 1
    assert "Activity class {com.example/.Main} does not exist" in ran.err
    assert "unable to resolve Intent { act=foo.BAR }" in shell.run("am start -a foo.BAR").err
    assert "Argument expected" in shell.run("am start -a").err


def test_force_stop_ends_an_app_and_monkey_opens_one(shell: PhoneShell) -> None:
    shell.run("monkey -p com.android.settings -c android.intent.category.LAUNCHER 1")
    assert shell.phone.foreground[0] == "com.android.settings"
    shell.run("am force-stop com.android.settings")
    assert shell.phone.foreground[0] == "com.android.launcher3"
    assert shell.phone.state.tasks == []
    assert "No activities found" in shell.run("monkey -p com.none 1").out


def test_input_drives_the_phone_like_its_own_methods(shell: PhoneShell) -> None:
    shell.run("am start -a android.settings.SETTINGS")
    before = [item.resource_id for item in shell.phone.elements()]
    shell.run("input touchscreen swipe 180 600 180 200 300")
    assert [item.resource_id for item in shell.phone.elements()] != before
    shell.run("input keyevent KEYCODE_BACK")
    assert shell.phone.foreground[0] == "com.android.launcher3"
    shell.run("input -d 0 keyevent 187 3")
    assert shell.phone.state.foreground == "launcher"
    shell.run("input motionevent DOWN 180 600; input motionevent MOVE 180 300; input motionevent UP 180 100")
    assert shell.phone.state.launcher.name == "drawer"
    shell.run("input tap 9999 5; input press; input roll 1 1; input swipe -5 0 10 10")
    assert shell.phone.state.launcher.name == "drawer"


def test_input_text_and_keys_write_into_the_focused_field(shell: PhoneShell) -> None:
    focused_field(shell)
    shell.run("input text 'a%sb%%c'; input keyevent KEYCODE_SPACE 29 --longpress 7 DEL 56")
    assert typed(shell) == "a b%%c a."
    shell.run("input keycombination 113 29 && input text new")
    assert typed(shell) == "new"
    shell.run("input keycombination CTRL_LEFT A; input keyevent DEL")
    assert typed(shell) == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("input text é", "NullPointerException"),
        ("input tap a 1", 'NumberFormatException: For input string: "a"'),
        ("input tap 1", "Argument expected"),
        ("input keyevent KEYCODE_NONE_SUCH", "Unknown keycode"),
        ("input keyevent", "Argument expected"),
        ("input jump", "Unknown command: jump"),
        ("input keycombination 4", "at least 2"),
        ("input", "Usage: input"),
    ],
)
def test_input_complains_as_android_does(shell: PhoneShell, line: str, said: str) -> None:
    ran = shell.run(line)
    assert ran.status == 255
    assert said in ran.err


def test_adb_keyboard_takes_any_script_once_it_is_the_keyboard(shell: PhoneShell) -> None:
    focused_field(shell)
    broadcast = "am broadcast -a ADB_INPUT_B64 --es msg 5pel5pys8J+YgA=="
    shell.run(broadcast)
    assert typed(shell) == ""
    assert "com.android.adbkeyboard/.AdbIME" in shell.run("ime list -s -a").out
    shell.run(f"ime set com.android.adbkeyboard/.AdbIME && {broadcast}")
    assert typed(shell) == "日本😀"
    assert shell.run("settings get secure default_input_method").out == "com.android.adbkeyboard/.AdbIME\n"
    shell.run("am broadcast -a ADB_CLEAR_TEXT; am broadcast -a ADB_INPUT_TEXT --es msg 'a b'")
    assert typed(shell) == "a b"
    assert shell.run("am broadcast -a ADB_INPUT_B64 --es msg '!'").status == 1
    assert shell.run("ime set none/.None").status == 255


def test_uiautomator_tells_every_element_exactly(shell: PhoneShell) -> None:
    for line in ("true", "am start -a android.settings.DISPLAY_SETTINGS", "input keyevent 4 3", "input keyevent 187"):
        shell.run(line)
        xml = shell.run("uiautomator dump /dev/tty").out
        assert parse_xml(xml[: xml.rindex(">") + 1]) == shell.phone.elements()
    assert shell.run("uiautomator dump").out == "UI hierchary dumped to: /sdcard/window_dump.xml\n"
    assert b"<hierarchy" in shell.system.files.read("/sdcard/window_dump.xml")


@pytest.mark.parametrize(
    ("namespace", "name", "value", "setting", "expected"),
    [
        ("global", "airplane_mode_on", "1", "network.airplane_mode", True),
        ("system", "screen_brightness", "255", "display.brightness", 10),
        ("system", "time_12_24", "12", "date_time.use_24_hour", False),
        ("system", "screen_off_timeout", "60000", "display.screen_timeout", "1 minute"),
        ("secure", "ui_night_mode", "2", "display.dark_theme", True),
    ],
)
def test_settings_are_the_phones_own(shell: PhoneShell, namespace, name, value, setting, expected) -> None:
    assert shell.run(f"settings put {namespace} {name} {value}").status == 0
    assert shell.phone.state.settings[setting] == expected
    assert shell.run(f"settings get {namespace} {name}").out == value + "\n"
    assert f"{name}={value}\n" in shell.run(f"settings list {namespace}").out


def test_settings_that_the_phone_has_not_are_kept_and_bad_values_refused(shell: PhoneShell) -> None:
    assert shell.run("settings get global my_own").out == "null\n"
    shell.run("settings put global my_own 'a b'")
    assert shell.run("settings get global my_own; settings delete global my_own").out == "a b\nDeleted 1 rows\n"
    assert shell.run("settings put global airplane_mode_on maybe").status == 255
    assert shell.run("settings get nowhere x").status == 255


def test_svc_and_cmd_switch_the_phones_settings(shell: PhoneShell) -> None:
    settings = shell.phone.state.settings
    shell.run("svc wifi disable; svc bluetooth enable; cmd uimode night yes; cmd connectivity airplane-mode enable")
    names = ("wifi.enabled", "devices.bluetooth", "display.dark_theme", "network.airplane_mode")
    assert [settings[name] for name in names] == [False, True, True, True]
    shell.run("cmd statusbar expand-settings")
    assert shell.phone.state.shade_open
    assert shell.run("cmd none").status == 20


def test_packages_and_labels_are_listed(shell: PhoneShell) -> None:
    listed = shell.run("pm list packages").out.splitlines()
    assert "package:com.android.settings" in listed
    assert shell.run("pm list packages -3").out == "package:com.android.adbkeyboard\n"
    assert shell.run("pm path com.android.settings").out == "package:/system/app/Settings/Settings.apk\n"
    assert shell.run("pm list packages -f deskclock").out.endswith("=com.android.deskclock\n")
    apps = parse_apps(shell.run(LIST_COMMAND).out)
    assert [(app.label, app.package) for app in apps] == [(app.label, app.package) for app in shell.phone.apps()]
    resolved = shell.run("cmd package resolve-activity --brief -a android.intent.action.VIEW -d http://a").out
    assert resolved.splitlines()[-1].startswith("com.android.browser/")


def test_getprop_date_and_the_rest_speak_androids_formats(shell: PhoneShell) -> None:
    assert shell.run("getprop sys.boot_completed").out == "1\n"
    assert all(re.fullmatch(r"\[[\w.]+\]: \[.*\]", line) for line in shell.run("getprop").out.splitlines())
    assert shell.run("date +%s").out == f"{int(shell.phone.state.now_s)}\n"
    assert shell.run("id").out.startswith("uid=2000(shell)")
    assert shell.run("whoami; uname; logcat -d").out == "shell\nLinux\n"
    assert f"level: {shell.phone.state.battery}\n" in shell.run("dumpsys battery").out
    assert "mWakefulness=Awake" in shell.run("dumpsys power").out
    assert re.search(r"orientation=0.*deviceWidth=360, deviceHeight=800", shell.run("dumpsys display").out)
    assert re.match(r"Display \d+ \(HWC display 0\)", shell.run("dumpsys SurfaceFlinger --display-id").out)
    assert shell.run("reboot").status == 1


def test_the_state_goes_out_and_in_as_json(shell: PhoneShell) -> None:
    state = PhoneState.from_json(json.loads(shell.run("cmd virtual-phone state").out))
    assert state == shell.phone.state
    state.battery = 3
    shell.system.files.write("/data/local/tmp/s", json.dumps(state.to_json()).encode())
    assert shell.run("cmd virtual-phone load /data/local/tmp/s").status == 0
    assert shell.phone.state == state
    assert shell.run("cmd virtual-phone reset 8").status == 0
    assert shell.phone.state.seed == 8
    for bad in ("load /none", "reset x", "wait x", "jump"):
        assert shell.run("cmd virtual-phone " + bad).status != 0
    shell.system.files.write("/sdcard/bad", b'{"nonsense": 1}')
    assert "nonsense" in shell.run("cmd virtual-phone load /sdcard/bad").err


LONG = {"sleep", "screenrecord", "screencap", "sh"}
WORDS = [
    "-p", "-n", "-a", "-d", "-c", "-f", "-t", "-e", "-s", "--es", "--user", "-W", "0", "1", "-1", "nan",
    "inf", "1e9", "99999999999", "9x9", "5000x5000", "''", "x", "/sdcard/x", "/dev/tty", "tap", "swipe",
    "text", "keyevent", "keycombination", "start", "broadcast", "force-stop", "list", "get", "put", "system",
    "global", "packages", "dump", "size", "density", "reset", "set", "enable", "state", "load", "wait",
    "font_scale", "screen_brightness", "time_12_24", "package", "activity", "window", "settings", "+", "+%Q",
    "é", "virtual-phone", "wifi", "query-activities", "resolve-activity", "path", "com.android.settings",
    "com.android.settings/.Settings", "a:b",
]  # fmt: skip


@given(st.sampled_from(sorted(set(COMMANDS) - LONG)), st.lists(st.sampled_from(WORDS), max_size=6))
@settings(max_examples=300, deadline=None)
def test_no_arguments_break_a_command(name: str, words: list[str]) -> None:
    """Whatever is asked, there is a status, and the phone still has a screen."""
    assert 0 <= FUZZED.run(" ".join([name, *words])).status <= 255
    assert FUZZED.phone.elements() is not None


def test_faults_strike_as_told() -> None:
    faults = parse_faults(["black=1", "drop-input=2", "truncate=0"])
    assert parse_faults(format_faults(faults)) == faults == Faults(black=1, drop_input=2)
    shell = PhoneShell(faults=faults)
    assert Image.open(io.BytesIO(shell.run("screencap -p").data)).convert("L").getextrema() == (0, 0)
    assert Image.open(io.BytesIO(shell.run("screencap -p").data)).convert("L").getextrema() != (0, 0)
    shell.run("am start -a android.settings.SETTINGS; input keyevent 4")
    assert shell.phone.foreground[0] == "com.android.launcher3"
    shell.run("am start -a android.settings.SETTINGS; input keyevent 4")
    assert shell.phone.foreground[0] == "com.android.settings"
    assert len(PhoneShell(faults=Faults(truncate=100)).run("screencap -p").data) == 100


@pytest.mark.parametrize(
    "setting", ["melt=1", "black=x", "drop-input=-1", "drop-input", "state=well", "rotation=4", "slow-shell=2m"]
)
def test_a_fault_that_is_not_known_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError):
        parse_faults([setting])


FUZZED = PhoneShell()
