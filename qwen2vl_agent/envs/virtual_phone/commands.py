"""Every command of the virtual phone's shell, by name."""

from datetime import UTC, datetime

from qwen2vl_agent.envs.virtual_phone import (
    commands_apps,
    commands_dumpsys,
    commands_files,
    commands_input,
    commands_screen,
    commands_settings,
)
from qwen2vl_agent.envs.virtual_phone.shell import Call, Handler


def date(call: Call) -> int:
    """`date [+FORMAT]`, by the phone's own clock."""
    now = datetime.fromtimestamp(call.system.phone.state.now_s, UTC)
    form = next((item[1:] for item in call.args if item.startswith("+")), "%a %b %e %H:%M:%S UTC %Y")
    try:
        call.print(now.strftime(form))
    except ValueError:
        return call.fail(f"date: bad format '{form}'")
    return 0


def uname(call: Call) -> int:
    """`uname [-a|-r|-m|-n|-s]`."""
    parts = {"-s": "Linux", "-n": "localhost", "-r": "6.1.23-android14-4", "-m": "aarch64"}
    everything = "Linux localhost 6.1.23-android14-4 #1 SMP PREEMPT aarch64 Toybox"
    call.print(everything if "-a" in call.args else parts.get((call.args or ["-s"])[0], "Linux"))
    return 0


def identity(call: Call) -> int:
    """`id [-u]`."""
    shell = "uid=2000(shell) gid=2000(shell) groups=2000(shell),1007(log) context=u:r:shell:s0"
    call.print("2000" if "-u" in call.args else shell)
    return 0


def logcat(call: Call) -> int:
    """`logcat -d`: the log is empty; following it would never end."""
    if not {"-d", "-c", "-t", "-g"} & set(call.args):
        return call.fail("logcat: this phone only dumps its log: logcat -d")
    return 0


COMMANDS: dict[str, Handler] = {
    **commands_files.COMMANDS,
    **commands_input.COMMANDS,
    **commands_screen.COMMANDS,
    **commands_apps.COMMANDS,
    **commands_settings.COMMANDS,
    **commands_dumpsys.COMMANDS,
    "date": date,
    "uname": uname,
    "id": identity,
    "whoami": lambda call: call.print("shell"),
    "hostname": lambda call: call.print("localhost"),
    "logcat": logcat,
    "reboot": lambda call: call.fail("reboot: Operation not permitted"),
}
