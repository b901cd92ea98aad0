"""Chromium for tests: the system's, or the one that Playwright brings."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium_page(
    width: int = 1280, height: int = 900, expected: tuple[str, ...] = (), **context: Any
) -> Iterator[Any]:
    """An empty page; whatever goes wrong in its scripts, but for what is `expected`, fails the test at the end."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        try:
            page = browser.new_context(viewport={"width": width, "height": height}, **context).new_page()
            page.set_default_timeout(60_000)
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
            yield page
            surprises = [said for said in problems if not any(word in said for word in expected)]
            assert not surprises, surprises
        finally:
            browser.close()
