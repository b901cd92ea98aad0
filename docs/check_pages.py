"""Looks at the built site: `python docs/check_pages.py build/site --axe axe.min.js --out shots`. Needs Chromium.

Every page at three widths, the widest in the dark scheme too: rules of axe-core that are broken, pages that are wider
than the window, pictures that did not load, requests to other hosts. Exit status 1 where there is any.
"""

import argparse
import shutil
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VIEWS = ((390, "light"), (820, "light"), (1440, "light"), (1440, "dark"))
"""Widths in pixels, and schemes of colour."""
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PATIENCE_MS = 120_000
"""For a page on a busy machine."""
BROKEN = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"


class Quiet(SimpleHTTPRequestHandler):
    """A file server that says nothing."""

    def log_message(self, *told: Any) -> None:
        """Nothing."""


def look(page: Any, address: str, axe: str) -> list[str]:
    """What is wrong with a page as it is shown now."""
    page.goto(address, wait_until="load", timeout=PATIENCE_MS)
    found = [f"{page.evaluate(WIDER)} pixels wider than the window"] if page.evaluate(WIDER) > 0 else []
    found += [f"no picture at {source}" for source in page.evaluate(BROKEN)]
    if axe:
        page.evaluate(axe)
        for rule in page.evaluate("axe.run(document)")["violations"]:
            places = [" ".join(map(str, node["target"])) for node in rule["nodes"]]
            found.append(f"{rule['id']} ({rule['impact']}): {len(places)} places, for example {places[0]}")
    return found


def main() -> int:
    """Looks at all pages, and tells."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("--axe", type=Path, help="axe.min.js of npm's axe-core")
    parser.add_argument("--out", type=Path, help="folder for pictures of the pages")
    parser.add_argument("--only", default="", help="pages whose path contains this")
    given = parser.parse_args()
    axe = given.axe.read_text("utf-8") if given.axe else ""
    files = sorted(path for path in given.site.rglob("*.html") if path.name != "404.html")
    names = [name for path in files if given.only in (name := path.relative_to(given.site).as_posix())]
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=given.site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}/"
    from playwright.sync_api import sync_playwright

    wrong = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for width, scheme in VIEWS:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            asked: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            for name in names:
                found = look(page, here + name, axe) + [f"asks for {url}" for url in asked if not url.startswith(here)]
                asked.clear()
                for what in found:
                    print(f"{name} at {width}, {scheme}: {what}", flush=True)
                wrong += len(found)
                if given.out:
                    given.out.mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=given.out / f"{name.replace('/', '-')}-{width}-{scheme}.png")
            page.close()
        browser.close()
    print(f"{wrong} things wrong on {len(names)} pages")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
