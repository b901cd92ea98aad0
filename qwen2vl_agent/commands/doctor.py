"""`qwen2vl-agent doctor`: what is installed, attached and missing, and how to mend it."""

import dataclasses
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from qwen2vl_agent.commands import output
from qwen2vl_agent.commands.checkup import Finding, findings

COLOURS = {"good": "green", "note": "yellow", "missing": "red"}


@dataclass(frozen=True, kw_only=True)
class Command:
    """Tell what is installed, attached and missing, and how to mend it.

    Status 0 when the virtual phone and the model can run, 2 when something that they need is missing.

    A phone on the same network is paired once: on the phone, open Developer options, Wireless debugging, Pair device
    with pairing code; give the address and the code that it shows. Then give the address of the page behind that dialog
    to `adb connect`.

    Examples:
      qwen2vl-agent doctor
      qwen2vl-agent doctor --pair 192.168.1.20:37123 --code 123456
      qwen2vl-agent doctor --calibrate --serial R58M12ABCDE
    """

    pair: str = ""
    """address of a phone that shows a pairing code, as HOST:PORT"""
    code: str = ""
    """the six digits that it shows; asked for if left out"""
    calibrate: bool = False
    """touch 50 targets on a phone, without pressing anything, and tell where the touches land"""
    serial: str = ""
    """the phone to calibrate; the only one attached if left out"""
    json: bool = False
    """print one JSON object as the last line of standard output"""

    def run(self) -> int:
        """Prints the table; the status says whether the main job can run."""
        if self.pair:
            return self._pair()
        if self.calibrate:
            return self._calibrate()
        found = findings()
        output.console(self.json).print(_table(found))
        healthy = all(finding.state != "missing" for finding in found)
        if self.json:
            output.print_object({"ok": healthy, "checks": [dataclasses.asdict(finding) for finding in found]})
        return 0 if healthy else 2

    def _pair(self) -> int:
        from qwen2vl_agent.envs.adb_server import pair

        code = self.code or input("pairing code that the phone shows: ").strip()
        answer = pair(self.pair, code)
        console = output.console(self.json)
        console.print(answer, markup=False)
        console.print("now: adb connect HOST:PORT, as its page Wireless debugging shows it", markup=False)
        if self.json:
            output.print_object({"ok": True, "paired": self.pair})
        return 0

    def _calibrate(self) -> int:
        """Status 0 when every touch landed on its pixel, 1 when some did not."""
        from qwen2vl_agent.envs.android import AndroidDevice
        from qwen2vl_agent.envs.calibration import calibrate

        device = AndroidDevice(self.serial or None)
        try:
            landings, frame = calibrate(device), device.frame
        finally:
            device.close()
        beside = [landing for landing in landings if not landing.within]
        console, worst = output.console(self.json), max(landing.off_px for landing in landings)
        size = f"{frame.width}x{frame.height}, turned by {frame.rotation}"
        landed = len(landings) - len(beside)
        console.print(f"{device.serial} ({size}): {landed} of {len(landings)} landed, worst {worst:g} px beside")
        for landing in beside:
            console.print(f"  meant {landing.wanted}, landed {landing.landed}", markup=False)
        if self.json:
            output.print_object({"ok": not beside, "targets": len(landings), "landed": landed, "worst_px": worst})
        return 1 if beside else 0


def _table(found: list[Finding]) -> Table:
    table = Table(title="qwen2vl-agent doctor", title_justify="left")
    for heading in ("what", "state", "found", "how to mend it"):
        table.add_column(heading, overflow="fold")
    for finding in found:
        colour = COLOURS[finding.state]
        name, details, mend = escape(finding.name), escape(finding.found), escape(finding.mend)
        table.add_row(name, f"[{colour}]{finding.state}[/]", details, mend)
    return table
