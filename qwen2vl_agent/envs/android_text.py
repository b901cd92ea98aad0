"""Types into a phone's fields: ASCII by `input`, any script by ADBKeyBoard, and sees by reading back what arrived."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qwen2vl_agent.envs import android_input
from qwen2vl_agent.schema.errors import ActionRejected, ActionVoid, DeviceLost
from qwen2vl_agent.schema.observation import Element

ADB_KEYBOARD = "com.android.adbkeyboard/.AdbIME"
CONSENT_VARIABLE = "QWEN2VL_AGENT_CONSENT"
KEYBOARD_CHANGE = "ADBKeyBoard, which is installed, becomes the phone's keyboard until the agent is done"
NO_FIELD = "no text field has the focus; tap the field first"
HIDDEN = re.compile(r"[•*·●]*")
"""What a password's field shows."""


@dataclass(slots=True, kw_only=True)
class PhoneText:
    """One phone's typing. Its owner's keyboard is borrowed only with consent, and comes back by `restoring`."""

    virtual: bool
    send: Callable[[str, dict[str, Any]], None]
    """Runs a line that must succeed, and notes it."""
    read: Callable[[str], str]
    """What a line answers that changes nothing."""
    elements: Callable[[], list[Element]]
    consent: Callable[[str], bool] | None = None
    """Asked, with what is to be done in words, before a real phone's keyboard is changed; None: the environment's
    `QWEN2VL_AGENT_CONSENT=keyboard` agrees."""
    _previous: str | None = field(default=None, init=False)
    _enabled: bool = field(default=False, init=False)

    def type(self, text: str, clear_first: bool, done: dict[str, Any]) -> None:
        """Type into the field that has the focus.

        Raises:
            ActionRejected: no field has the focus, or only a keyboard could write this that is not to be had.
            ActionVoid: something else stands in the field now.
        """
        if self.virtual and "=null" in self.read("dumpsys input_method | grep mServedInputConnection"):
            raise ActionRejected(NO_FIELD)
        plain = android_input.is_plain(text)
        if not plain:
            self._use_adb_keyboard()
        if clear_first:
            self._clear(done)
        lines = android_input.type_plain(text) if plain else android_input.type_any(text)
        for line in android_input.chain(lines):
            self.send(line, done)
        if text.strip() and "\n" not in text:
            self._read_back(text, done)

    def restoring(self) -> str | None:
        """The line that gives the owner's keyboard back; None where it was not taken. To be asked once."""
        keyboard, self._previous = self._previous, None
        if keyboard is None:
            return None
        disable, self._enabled = (f"; ime disable {ADB_KEYBOARD}" if self._enabled else ""), False
        return f"ime set {android_input.quote(keyboard)}{disable}"

    def _read_back(self, text: str, done: dict[str, Any]) -> None:
        """See what arrived, where the field can be read."""
        try:
            field = next((element for element in self.elements() if element.focused and element.role == "field"), None)
        except DeviceLost:  # no tree of this screen: some apps have none
            return
        if field is None or HIDDEN.fullmatch(field.text):
            return
        done["read_back"] = field.text
        if not android_input.holds(field.text, text):
            raise ActionVoid(f"the text did not arrive as typed: the field now holds {field.text!r}")

    def _clear(self, done: dict[str, Any]) -> None:
        try:
            self.send(android_input.select_all_and_delete(), done)
        except ActionRejected:  # before Android 13 there is no keycombination
            self.send(android_input.delete_backwards(), done)

    def _use_adb_keyboard(self) -> None:
        """Make ADBKeyBoard the keyboard."""
        listing = self.read("ime list -s -a; settings get secure default_input_method").split()
        if ADB_KEYBOARD not in listing[:-1]:
            raise ActionRejected(
                "this phone can only be sent ASCII text; for other characters its owner must install ADBKeyBoard"
            )
        if listing[-1] != ADB_KEYBOARD:
            if not (self.virtual or self._agreed()):
                raise ActionRejected(
                    f"the phone's owner has not agreed to this: {KEYBOARD_CHANGE} (to agree, set {CONSENT_VARIABLE} to "
                    "keyboard); until then only ASCII text can be typed"
                )
            self._previous = self._previous or listing[-1]
            self._enabled |= ADB_KEYBOARD not in self.read("ime list -s").split()
            self.send(f"ime enable {ADB_KEYBOARD} && ime set {ADB_KEYBOARD}", {})

    def _agreed(self) -> bool:
        if self.consent is not None:
            return self.consent(KEYBOARD_CHANGE)
        return os.environ.get(CONSENT_VARIABLE) == "keyboard"
