"""Commands about apps: am, monkey, pm, and what `cmd activity` and `cmd package` answer."""

import base64
import binascii

from qwen2vl_agent.envs.virtual_phone.app_list import APP_BY_PACKAGE, LAUNCHER_ACTIVITY, LAUNCHER_PACKAGE, App
from qwen2vl_agent.envs.virtual_phone.commands_input import clear_field, press, type_text
from qwen2vl_agent.envs.virtual_phone.intents import BadIntent, Intent, parse_intent, resolve
from qwen2vl_agent.envs.virtual_phone.key_codes import key_code
from qwen2vl_agent.envs.virtual_phone.shell import Call, Handler
from qwen2vl_agent.envs.virtual_phone.system import ADB_KEYBOARD, System

LAUNCHER_CATEGORY = "android.intent.category.LAUNCHER"
SYSTEM_PACKAGES = ("android", "com.android.adbkeyboard", "com.android.inputmethod.latin", "com.android.systemui")
THIRD_PARTY = ("com.android.adbkeyboard",)
FAILED = 255


def am(call: Call) -> int:
    """`am start|start-activity|force-stop|kill|broadcast|get-current-user …`."""
    name = call.args[0] if call.args else ""
    rest = call.args[1:]
    try:
        if name in ("start", "start-activity"):
            return _start(call, parse_intent(rest))
        if name == "broadcast":
            return _broadcast(call, parse_intent(rest))
        if name in ("force-stop", "kill", "crash", "stop-app"):
            return _stop(call, parse_intent(rest).package)
    except BadIntent as error:
        return call.fail(f"\nException occurred while executing '{name}':\n{error}", FAILED)
    if name in ("startservice", "start-service", "start-foreground-service", "stopservice"):
        return call.fail("Error: Not found; no service started.", FAILED)
    if name == "get-current-user":
        call.print("0")
        return 0
    return call.fail(f"Unknown command: {name}" if name else "Activity manager (activity) commands:", FAILED)


def _start(call: Call, intent: Intent) -> int:
    if not intent.action and (intent.component or intent.package):
        if intent.package and not intent.component:
            intent.categories.append(LAUNCHER_CATEGORY)
        intent.action = "android.intent.action.MAIN"
    call.print(f"Starting: {intent}")
    found = resolve(intent)
    if found is None and intent.component:
        call.err += b"Error type 3\n"
        return call.fail(f"Error: Activity class {{{intent.component}}} does not exist.")
    if found is None:
        return call.fail(f"Error: Activity not started, unable to resolve {intent}")
    package, page = found
    phone = call.system.phone
    before = phone.foreground
    if "-S" in intent.flags:
        call.print(f"Stopping: {package}")
        call.system.phone.stop(package)
    open_app(call.system, package, page)
    if before == phone.foreground and page is None and "-S" not in intent.flags:
        call.err += b"Warning: Activity not started, its current task has been brought to the front\n"
    if "-W" in intent.flags:
        activity = "/".join(phone.foreground)
        call.print(f"Status: ok\nLaunchState: WARM\nActivity: {activity}\nTotalTime: 120\nWaitTime: 124\nComplete")
    return 0


def open_app(system: System, package: str, page: str | None = None) -> bool:
    """Bring an app to the front, or the home screen; False where there is none of this name."""
    system.all_selected = False
    return system.phone.launch(package, page)


def _stop(call: Call, package: str) -> int:
    if not package:
        raise BadIntent('java.lang.IllegalArgumentException: Argument expected after "force-stop"')
    call.system.phone.stop(package)
    return 0


def _broadcast(call: Call, intent: Intent) -> int:
    call.print(f"Broadcasting: {intent}")
    if call.system.ime == ADB_KEYBOARD and not _adb_keyboard(call.system, intent):
        return call.fail("Broadcast failed: bad extra")
    call.print("Broadcast completed: result=0")
    return 0


def _adb_keyboard(system: System, intent: Intent) -> bool:
    """What ADBKeyBoard does with a broadcast; False where the extra cannot be read.

    Source: github.com/senzhk/ADBKeyBoard, AdbIME.java.
    """
    message = intent.extras.get("msg", "")
    if intent.action == "ADB_INPUT_B64":
        try:
            message = base64.b64decode(message, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        if not system.faults.input_is_lost():
            type_text(system, message)
        system.rotation = system.faults.turn(system.rotation)
    elif intent.action == "ADB_INPUT_TEXT":
        type_text(system, message)
    elif intent.action == "ADB_CLEAR_TEXT":
        clear_field(system)
    elif intent.action == "ADB_INPUT_CODE":
        code = key_code(intent.extras.get("code", ""))
        if code is None:
            return False
        press(system, code)
    return True


def monkey(call: Call) -> int:
    """`monkey -p PACKAGE [-c CATEGORY] 1`: the way scripts open an app."""
    package = call.args[call.args.index("-p") + 1] if "-p" in call.args[:-1] else ""
    call.print("  bash arg: " + "\n  bash arg: ".join(call.args))
    if package not in {app.package for app in call.system.phone.apps()}:
        call.print("** No activities found to run, monkey aborted.")
        return 252
    open_app(call.system, package)
    call.print("Events injected: 1\n## Network stats: elapsed time=12ms (0ms mobile, 0ms wifi, 12ms not connected)")
    return 0


def pm(call: Call) -> int:
    """`pm list packages|path|dump|clear …`."""
    return package_service(call, call.args)


def package_service(call: Call, args: list[str]) -> int:
    """`cmd package …`, which `pm` is short for."""
    name, rest = (args or [""])[0], args[1:]
    if name == "list" and rest[:1] == ["packages"]:
        return _list_packages(call, rest[1:])
    if name == "list" and rest[:1] in (["features"], ["users"], ["libraries"]):
        call.print("Users:\n\tUserInfo{0:Owner:4c13} running" if rest[0] == "users" else "")
        return 0
    if name == "path":
        return _path(call, rest)
    if name in ("query-activities", "resolve-activity"):
        return _activities(call, rest, first=name == "resolve-activity")
    if name == "has-feature":
        call.print("true" if rest == ["android.hardware.touchscreen"] else "false")
        return 0
    return call.fail(f"Unknown command: {name}" if name else "Package manager (package) commands:", FAILED)


def _list_packages(call: Call, args: list[str]) -> int:
    filters = [item for item in args if not item.startswith("-")]
    packages = (
        THIRD_PARTY
        if "-3" in args
        else (*(app.package for app in call.system.phone.apps()), LAUNCHER_PACKAGE, *SYSTEM_PACKAGES)
    )
    if "-s" in args:
        packages = tuple(package for package in packages if package not in THIRD_PARTY)
    if "-d" in args:
        packages = ()
    if call.system.faults.faults.no_adb_keyboard:
        packages = tuple(package for package in packages if package not in THIRD_PARTY)
    for package in packages:
        if all(part in package for part in filters):
            call.print(f"package:{_apk(package)}={package}" if "-f" in args else f"package:{package}")
    return 0


def _apk(package: str) -> str:
    name = package.rpartition(".")[2].capitalize()
    return f"/data/app/{package}-1/base.apk" if package in THIRD_PARTY else f"/system/app/{name}/{name}.apk"


def _path(call: Call, args: list[str]) -> int:
    known = {*(app.package for app in call.system.phone.apps()), LAUNCHER_PACKAGE, *SYSTEM_PACKAGES}
    if not args or args[-1] not in known:
        return 1
    call.print(f"package:{_apk(args[-1])}")
    return 0


def _activities(call: Call, args: list[str], *, first: bool) -> int:
    """`query-activities` lists launchable apps with their labels; `resolve-activity` tells who would answer."""
    brief = "--brief" in args or "--components" in args
    try:
        intent = parse_intent([item for item in args if item not in ("--brief", "--components")])
    except BadIntent as error:
        return call.fail(str(error), FAILED)
    apps = _matching(call.system.phone.apps(), intent, first=first)
    if not apps:
        call.print("No activity found" if first else "No activities found")
        return 0
    if not first and not brief:
        call.print(f"{len(apps)} activities found:")
    for index, app in enumerate(apps):
        _describe(call, app, "" if first else f"  Activity #{index}:", brief=brief)
    return 0


def _matching(apps: list[App], intent: Intent, *, first: bool) -> list[App]:
    if not first and intent.action in ("", "android.intent.action.MAIN") and not intent.data:
        return [app for app in apps if intent.package in ("", app.package)]
    if intent.package:
        return [app for app in apps if app.package == intent.package]
    found = resolve(intent)
    home = App("Launcher", LAUNCHER_PACKAGE, LAUNCHER_ACTIVITY, "launcher", "home", 0)
    return [APP_BY_PACKAGE.get(found[0], home)] if found else []


def _describe(call: Call, app: App, title: str, *, brief: bool) -> None:
    ranks = "priority=0 preferredOrder=0 match=0x108000 specificIndex=-1 isDefault=false"
    if brief:
        call.print(f"{'  ' if title else ''}{ranks}\n{'  ' if title else ''}{app.package}/{app.activity}")
        return
    call.print(f"{title}\n    {ranks}" if title else ranks)
    call.print(
        f"    ActivityInfo:\n      name={app.package}{app.activity}\n      packageName={app.package}\n"
        f"      labelRes=0x7f110000 nonLocalizedLabel={app.label} icon=0x7f080000 banner=0x0\n"
        f"      enabled=true exported=true directBootAware=false\n"
        f"      ApplicationInfo:\n        packageName={app.package}\n"
        f"        labelRes=0x7f110000 nonLocalizedLabel={app.label} icon=0x7f080000 banner=0x0"
    )


COMMANDS: dict[str, Handler] = {"am": am, "monkey": monkey, "pm": pm}
