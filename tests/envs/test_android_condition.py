"""Lock screens and secure apps, by what `dumpsys window` says of them."""

import pytest

from qwen2vl_agent.envs.android_screen import parse_state

OPEN = """    showing=false
  Window #3 Window{aa1 u0 com.bank/com.bank.Main}:
    mAttrs={(0,0)(fillxfill) ty=BASE_APPLICATION fl=LAYOUT_IN_SCREEN SECURE HARDWARE_ACCELERATED pfl=FORCE}
  Window #4 Window{bb2 u0 com.chat/com.chat.Main}:
  mCurrentFocus=Window{FOCUS u0 com.bank/com.bank.Main}
"""


@pytest.mark.parametrize(("focus", "condition"), [("aa1", "secure"), ("bb2", "on"), ("cc3", "on")])
def test_only_a_secure_app_in_front_counts(focus: str, condition: str) -> None:
    assert parse_state(OPEN.replace("FOCUS", focus)) == condition


def test_a_lock_screen_is_told() -> None:
    assert parse_state(OPEN.replace("showing=false", "showing=true")) == "locked"
    assert parse_state("") == "on"
