"""Commands that read and set: settings, svc, ime, getprop, and `cmd` with its services."""

import json
import re
from collections.abc import Awaitable

from qwen2vl_agent.envs.virtual_phone import settings_names
from qwen2vl_agent.envs.virtual_phone.commands_apps import am, package_service
from qwen2vl_agent.envs.virtual_phone.faults import parse_faults
from qwen2vl_agent.envs.virtual_phone.files import FileProblem
from qwen2vl_agent.envs.virtual_phone.locales import TAG, locale_of
from qwen2vl_agent.envs.virtual_phone.settings_catalogue import ITEMS, Fact
from qwen2vl_agent.envs.virtual_phone.shell import Call, Handler
from qwen2vl_agent.envs.virtual_phone.state import PhoneState, random_state
from qwen2vl_agent.envs.virtual_phone.system import ADB_KEYBOARD, LATIN_IME, System
from qwen2vl_agent.envs.virtual_phone.words import Words
from qwen2vl_agent.schema.errors import ConfigError

FAILED = 255
SDK_OF_RELEASE = {"13": "33", "14": "34", "15": "35", "16": "36"}
SERVICE_NAME = "virtual-phone"
"""`cmd virtual-phone …` is what tells a virtual phone from a real one."""


def settings(call: Call) -> int:
    """`settings get|put|delete|list NAMESPACE [NAME] [VALUE]`."""
    args = list(call.args)
    if "--user" in args:
        del args[args.index("--user") : args.index("--user") + 2]
    verb, namespace, name, value = ([*args, "", "", "", ""])[:4]
    if verb not in ("get", "put", "delete", "list") or namespace not in settings_names.NAMES:
        return call.fail(
            "Settings provider (settings) commands:\n  get|put|delete|list [system|secure|global] …", FAILED
        )
    if verb == "list":
        for line in sorted(_all(call.system, namespace)):
            call.print(line)
        return 0
    if not name or (verb == "put" and len(args) < 4):
        return call.fail("Bad arguments", FAILED)
    if verb == "get":
        call.print(_read(call.system, namespace, name) or "null")
        return 0
    if verb == "delete":
        known = call.system.settings.pop((namespace, name), None) is not None
        call.print(f"Deleted {int(known)} rows")
        return 0
    return _put(call, namespace, name, value)


def _put(call: Call, namespace: str, name: str, value: str) -> int:
    state = call.system.phone.state
    try:
        if settings_names.write(state, namespace, name, value):
            call.system.load(state)
        elif (namespace, name) == ("secure", "default_input_method"):
            call.system.ime = value
        elif (namespace, name) == ("system", "user_rotation"):
            call.system.rotation = int(value) % 4
        else:
            call.system.settings[namespace, name] = value
    except ValueError as error:
        return call.fail(f"Invalid value: {error}", FAILED)
    return 0


def _read(system: System, namespace: str, name: str) -> str | None:
    if (namespace, name) == ("secure", "default_input_method"):
        return system.ime
    if (namespace, name) == ("system", "user_rotation"):
        return str(system.rotation)
    if (namespace, name) == ("secure", "enabled_input_methods"):
        return ":".join(system.enabled_imes)
    value = settings_names.read(system.phone.state, namespace, name)
    return system.settings.get((namespace, name)) if value is None else value


def _all(system: System, namespace: str) -> list[str]:
    names = {*settings_names.NAMES[namespace], *(key for space, key in system.settings if space == namespace)}
    if namespace == "secure":
        names |= {"default_input_method", "enabled_input_methods"}
    return [f"{name}={value}" for name in names if (value := _read(system, namespace, name)) is not None]


def set_setting(system: System, setting: str, value: bool) -> None:
    """Turn one of the phone's switches."""
    state = system.phone.state
    state.settings[setting] = value
    system.load(state)


SERVICES = {"wifi": "wifi.enabled", "bluetooth": "devices.bluetooth", "data": "mobile.enabled", "nfc": "devices.nfc"}


def svc(call: Call) -> int:
    """`svc wifi|bluetooth|data|nfc enable|disable`; `svc power stayon` is taken and changes nothing."""
    name, verb = ([*call.args, "", ""])[:2]
    if name == "power" and verb in ("stayon", "reboot", "shutdown"):
        return 0 if verb == "stayon" else call.fail("this phone cannot be turned off", FAILED)
    if name not in SERVICES or verb not in ("enable", "disable"):
        return call.fail("Available commands:\n    power\n    data\n    wifi\n    nfc\n    bluetooth", 1)
    set_setting(call.system, SERVICES[name], verb == "enable")
    return 0


def _installed(system: System) -> list[str]:
    """The keyboards that there are, enabled or not."""
    return [LATIN_IME] if system.faults.faults.no_adb_keyboard else [LATIN_IME, ADB_KEYBOARD]


def ime(call: Call) -> int:
    """`ime list [-a] [-s]`, `ime enable|disable|set|reset ID`."""
    verb, rest = ([*call.args, ""])[0], call.args[1:]
    system = call.system
    if verb == "list":
        for name in _installed(system) if "-a" in rest else system.enabled_imes:
            call.print(name if "-s" in rest else f"{name}:\n  mId={name} mSettingsActivityName=null")
        return 0
    if verb == "reset":
        system.ime = LATIN_IME
        return 0
    name = (rest or [""])[0]
    if verb not in ("enable", "disable", "set") or name not in _installed(system):
        return call.fail(f"Unknown input method {name} cannot be {verb or 'set'} for user #0", FAILED)
    if verb == "set":
        if name not in system.enabled_imes:
            return call.fail(f"Unknown input method {name} cannot be selected for user #0", FAILED)
        system.ime = name
        call.print(f"Input method {name} selected for user #0")
        return 0
    system.enabled_imes = [item for item in system.enabled_imes if item != name] + [name] * (verb == "enable")
    call.print(f"Input method {name}: now {verb}d for user #0")
    return 0


def properties(system: System) -> dict[str, str]:
    """What getprop knows, sorted by name."""
    facts = {name: item.value for name, item in ITEMS.items() if isinstance(item, Fact)}
    release, build = facts["about.version"], facts["about.build"]
    locale = locale_of(system.phone.state.edition)
    return dict(
        sorted(
            {
                "dev.bootcomplete": "1",
                "persist.sys.locale": locale.tag if locale else TAG,
                "persist.sys.timezone": "UTC",
                "ro.boot.qemu": "0",
                "ro.build.characteristics": "default",
                "ro.build.display.id": build,
                "ro.build.id": build,
                "ro.build.type": "user",
                "ro.build.version.release": release,
                "ro.build.version.sdk": SDK_OF_RELEASE.get(release, "34"),
                "ro.debuggable": "0",
                "ro.product.brand": "virtualphone",
                "ro.product.cpu.abi": "arm64-v8a",
                "ro.product.cpu.abilist": "arm64-v8a",
                "ro.product.device": "virtual_phone",
                "ro.product.manufacturer": "virtualphone",
                "ro.product.model": facts["about.model"],
                "ro.product.name": "virtual_phone",
                "ro.serialno": f"VIRTUAL{system.phone.state.seed:08d}",
                "ro.sf.lcd_density": str(system.physical_density),
                "sys.boot_completed": "1",
            }.items()
        )
    )


def getprop(call: Call) -> int:
    """`getprop [NAME [DEFAULT]]`."""
    known = properties(call.system)
    if call.args:
        call.print(known.get(call.args[0], (call.args[1:] or [""])[0]))
    else:
        for name, value in known.items():
            call.print(f"[{name}]: [{value}]")
    return 0


def cmd(call: Call) -> int | Awaitable[int | None] | None:
    """`cmd SERVICE …`."""
    service, rest = (call.args or [""])[0], call.args[1:]
    if service in ("-l", ""):
        for name in sorted(CMD_SERVICES):
            call.print(f"  {name}")
        return 0
    if service not in CMD_SERVICES:
        return call.fail(f"cmd: Can't find service: {service}", 20)
    call.args = rest
    return CMD_SERVICES[service](call)


def _virtual_phone(call: Call) -> int:
    """`cmd virtual-phone state | load PATH | reset SEED | wait SECONDS | fault [NAME=VALUE…]`."""
    verb, value = ([*call.args, "", ""])[:2]
    try:
        if verb == "state":
            call.print(json.dumps(call.system.phone.state.to_json(), ensure_ascii=False))
        elif verb == "load":
            call.system.load(PhoneState.from_json(json.loads(call.system.files.read(value))))
        elif verb == "wait" and re.fullmatch(r"\d{1,6}(\.\d+)?", value, re.ASCII):
            call.system.phone.advance(float(value))
        elif verb == "fault":
            call.system.set_faults(parse_faults(call.args[1:]))
        elif verb == "reset" and re.fullmatch(r"\d{1,18}", value, re.ASCII):
            call.system.load(random_state(int(value), Words.test(), call.system.phone.state.edition))
        else:
            usage = "state | load PATH | reset SEED | wait SECONDS | fault [NAME=VALUE…]"
            return call.fail(f"usage: cmd virtual-phone {usage}", FAILED)
    except (ConfigError, FileProblem, ValueError) as error:
        return call.fail(f"cmd virtual-phone {verb} {value}: {error}")
    return 0


def _uimode(call: Call) -> int:
    """`cmd uimode night [yes|no]`."""
    if call.args[:1] != ["night"]:
        return call.fail("UiModeManager service (uimode) commands: night [yes|no]", FAILED)
    if call.args[1:] in (["yes"], ["no"]):
        set_setting(call.system, "display.dark_theme", call.args[1] == "yes")
    call.print("Night mode: " + ("yes" if call.system.phone.state.settings["display.dark_theme"] else "no"))
    return 0


def _statusbar(call: Call) -> int:
    """`cmd statusbar expand-notifications|expand-settings|collapse`."""
    verb = (call.args or [""])[0]
    if verb not in ("expand-notifications", "expand-settings", "collapse"):
        return call.fail(f"Unknown command: {verb}", FAILED)
    state = call.system.phone.state
    state.shade_open = verb != "collapse"
    call.system.load(state)
    return 0


def _connectivity(call: Call) -> int:
    """`cmd connectivity airplane-mode [enable|disable]`."""
    if call.args[:1] != ["airplane-mode"]:
        return call.fail("Connectivity service commands: airplane-mode [enable|disable]", FAILED)
    if call.args[1:] in (["enable"], ["disable"]):
        set_setting(call.system, "network.airplane_mode", call.args[1] == "enable")
    else:
        call.print("enabled" if call.system.phone.state.settings["network.airplane_mode"] else "disabled")
    return 0


def _on_off(setting: str, on: str, off: str) -> Handler:
    def run(call: Call) -> int:
        if call.args[:1] not in ([on], [off], ["set-wifi-enabled"]):
            return call.fail(f"Unknown command: {' '.join(call.args)}", FAILED)
        set_setting(call.system, setting, call.args[-1] in (on, "enabled"))
        return 0

    return run


CMD_SERVICES: dict[str, Handler] = {
    SERVICE_NAME: _virtual_phone,
    "activity": am,
    "bluetooth_manager": _on_off("devices.bluetooth", "enable", "disable"),
    "connectivity": _connectivity,
    "input_method": ime,
    "package": lambda call: package_service(call, call.args),
    "settings": settings,
    "statusbar": _statusbar,
    "uimode": _uimode,
    "wifi": _on_off("wifi.enabled", "enable", "disable"),
}
COMMANDS: dict[str, Handler] = {"settings": settings, "svc": svc, "ime": ime, "getprop": getprop, "cmd": cmd}
