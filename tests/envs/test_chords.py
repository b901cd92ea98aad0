"""Keys that are pressed together: the browser and the desktop read them alike, each in its own names."""

import pytest

from qwen2vl_agent.envs.browser import keys as browser
from qwen2vl_agent.envs.desktop import keys as desktop
from qwen2vl_agent.schema.errors import ActionRejected


@pytest.mark.parametrize(
    ("written", "in_browser", "on_desktop"),
    [
        ("ctrl+shift+T", ["Control", "Shift", "t"], ["ctrl", "shift", "t"]),
        ("ctrl++", ["Control", "+"], ["ctrl", "+"]),
        ("+", ["+"], ["+"]),
        ("enter", ["Enter"], ["enter"]),
    ],
)
def test_the_same_keys_on_both(written, in_browser, on_desktop):
    assert browser.chord(written) == in_browser
    assert desktop.chord(written) == on_desktop


@pytest.mark.parametrize("written", ["", "ctrl+hyper"])
def test_what_is_no_key_is_rejected(written):
    for keys in (browser, desktop):
        with pytest.raises(ActionRejected):
            keys.chord(written)
