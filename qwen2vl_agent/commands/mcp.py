"""`qwen2vl-agent mcp`: a phone's actions as tools of the Model Context Protocol."""

import sys
from dataclasses import dataclass
from pathlib import Path

from qwen2vl_agent.commands.devices import DeviceName, Wish, device_at_hand
from qwen2vl_agent.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Command:
    """Offer a phone's actions to other programs as MCP tools, on standard input and output.

    Each tool is an action of the phone (tap, swipe, type_text …) and answers with the screen that follows; `screenshot`
    only looks. Without --serial it takes the one phone that is attached, and where there is none starts a virtual one.
    With --rules, calls that the rules do not pass by themselves are refused: there is nobody to ask.

    Examples:
      claude mcp add phone -- qwen2vl-agent mcp --serial virtual
      qwen2vl-agent mcp --rules rules.toml
    """

    device: DeviceName = "android"
    """what to operate; this version knows phones (android)"""
    serial: str = ""
    """the phone's serial as `adb devices` lists it, or virtual for a virtual phone whatever is attached"""
    seed: int = 1
    """decides the virtual phone's contents and looks"""
    rules: Path | None = None
    """a TOML file of what may be done"""
    dry_run: bool = False
    """send nothing to the phone"""

    def run(self) -> int:
        """Serves until the client goes."""
        from qwen2vl_agent.commands.devices import OPENERS
        from qwen2vl_agent.serve.mcp_server import make_mcp_server, require_mcp, run_stdio

        if self.device not in OPENERS:
            raise ConfigError(f"--device {self.device}: this version operates phones only; leave --device out")
        require_mcp()
        from qwen2vl_agent.agent.rules import Rules
        from qwen2vl_agent.agent.rules_file import read_rules
        from qwen2vl_agent.serve.device_tools import DeviceTools

        wish = Wish(device=self.device, serial=self.serial, seed=self.seed, dry_run=self.dry_run)
        with device_at_hand(wish) as at_hand:
            print(at_hand.introduction, file=sys.stderr)
            rules = read_rules(self.rules, at_hand.env.tools) if self.rules else Rules()
            tools = DeviceTools(at_hand.env, rules)
            run_stdio(make_mcp_server(tools, at_hand.introduction))
        return 0
