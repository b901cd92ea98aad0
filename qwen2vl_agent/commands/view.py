"""`qwen2vl-agent view`: recorded episodes as a page."""

import webbrowser
from dataclasses import dataclass
from pathlib import Path

import tyro

from qwen2vl_agent.commands import output
from qwen2vl_agent.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Command:
    """Look at recorded episodes, step by step, in a browser.

    Shows each screen with the place that was touched, what was thought, called and done, the probability of every
    token, where the time went, and what training learns of it. Two runs stand side by side where you choose a second
    one. The page is local: only this machine reaches it, until Ctrl-C. With --html everything goes into one file,
    which needs neither this program nor a network.

    Examples:
      qwen2vl-agent view runs/bench-phone
      qwen2vl-agent view runs/one runs/other                     two runs, to compare
      qwen2vl-agent view runs/one --html one.html
    """

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """episodes, or folders of episodes"""
    html: Path | None = None
    """write one self-contained file instead; frames over 200 KB go in as JPEG"""
    port: int = 0
    """of the local page; a free one if left out"""
    open: bool = False
    """open the page in the browser"""
    json: bool = False
    """print one JSON object as the last line of standard output: before it serves, or when the file is written"""

    def run(self) -> int:
        """Serves until it is interrupted, or writes the file."""
        if not self.folders:
            raise ConfigError("name a folder of recorded episodes: qwen2vl-agent view DIR")
        from qwen2vl_agent.serve.viewer_server import named_episodes

        named = named_episodes(list(self.folders))
        return self._write(named, self.html) if self.html is not None else self._serve(named)

    def _write(self, named: dict[str, Path], file: Path) -> int:
        from qwen2vl_agent.serve.viewer_page import whole_page

        text = whole_page(named)
        try:
            file.write_text(text, "utf-8")
        except OSError as error:
            raise ConfigError(f"--html {file} cannot be written: {error.strerror}") from error
        size = file.stat().st_size
        told = f"{file}: {len(named)} episodes, {size / 2**20:.1f} MB"
        output.console(self.json).print(told, markup=False, soft_wrap=True)
        if self.json:
            output.print_object({"file": str(file), "episodes": len(named), "bytes": size})
        return 0

    def _serve(self, named: dict[str, Path]) -> int:
        from qwen2vl_agent.serve.viewer_server import HOST, Gallery, make_server

        with make_server(Gallery(named), self.port) as server:
            url = f"http://{HOST}:{server.server_address[1]}/"
            told = f"{len(named)} episodes at {url} (Ctrl-C ends)"
            output.console(self.json).print(told, markup=False, soft_wrap=True)
            if self.json:
                output.print_object({"url": url, "episodes": len(named)})
            if self.open:
                webbrowser.open(url)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                return 0
        return 0
