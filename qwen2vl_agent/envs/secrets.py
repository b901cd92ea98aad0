"""Secrets by name: `{{password:bank}}` is filled in at the device, and nothing that leaves it shows the value.

The model, the rules, the record and every message know the name only. Where the value comes to stand on the screen, it
is painted over before anyone looks.
"""

import dataclasses
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from qwen2vl_agent.schema.actions import Action, TypeText
from qwen2vl_agent.schema.errors import ActionRejected, ConfigError, DeviceLost
from qwen2vl_agent.schema.observation import Element
from qwen2vl_agent.schema.tools import tool_name

PLACE = re.compile(r"\{\{\s*([\w.:\-]{1,64})\s*\}\}")
VARIABLE = "QWEN2VL_AGENT_SECRET_"
"""Beginning of the environment variables: `password:bank` is in `QWEN2VL_AGENT_SECRET_PASSWORD_BANK`."""
COVER = (96, 96, 96)
SHORTEST = 4
"""A shorter value could be guessed, and hiding it would hide half of what is on a screen."""


def secrets_in(text: str) -> list[str]:
    """Names of the secrets that a text asks for."""
    return PLACE.findall(text)


class Secrets:
    """Named values; none of them is ever shown by `repr` or in an error."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        """Raises ConfigError where a value is too short to be hidden."""
        self._values = dict(values or {})
        if short := [name for name, value in self._values.items() if len(value) < SHORTEST]:
            raise ConfigError(f"the secret {short[0]!r} has fewer than {SHORTEST} characters, which cannot be hidden")

    def get(self, name: str) -> str:
        """The value of a name: of the file, else of the environment.

        Raises:
            ActionRejected: there is no such secret.
        """
        value = self._values.get(name) or os.environ.get(VARIABLE + re.sub(r"\W", "_", name).upper(), "")
        if len(value) < SHORTEST:
            raise ActionRejected(f"there is no secret called {name!r}")
        return value

    def filled(self, text: str) -> str:
        """The text with the values in their places.

        Raises:
            ActionRejected: one of them is not there.
        """
        return PLACE.sub(lambda found: self.get(found[1]), text)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._values))})"


def read_secrets(path: Path) -> Secrets:
    """The secrets in a TOML file of lines `"password:bank" = "value"`, which only its owner may read.

    Raises:
        ConfigError: others may read it, it cannot be read, or it holds something else.
    """
    try:
        others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if others and os.name == "posix":
            raise ConfigError(f"--secrets {path}: others than its owner may read it; run: chmod 600 {path}")
        values = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError:
        raise ConfigError(f'--secrets {path}: it is no TOML; expected lines like "password:bank" = "…"') from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--secrets {path}: it cannot be read ({type(error).__name__})") from None
    for name, value in values.items():
        if not isinstance(value, str) or not re.fullmatch(r"[\w.:\-]{1,64}", name):
            raise ConfigError(f'--secrets {path}: {name!r} is no line like "password:bank" = "…"')
    return Secrets(values)


class SecretFiller:
    """A device around a device: it fills secrets in, and hides them in all that comes back."""

    def __init__(self, device: Any, secrets: Secrets) -> None:
        self._device = device
        self._secrets = secrets
        self._used: dict[str, str] = {}

    def perform(self, action: Action) -> dict[str, Any]:
        """Do `action` with the values in their places; what was sent is told with the names.

        Raises:
            ActionRejected: there is no such secret, or the device refuses. The text never holds a value.
            DeviceLost: the device does not answer.
        """
        names = secrets_in(action.text) if isinstance(action, TypeText) else []
        if not names:
            return self._without_values(self._device.perform(action))
        assert isinstance(action, TypeText)
        filled = TypeText(text=self._secrets.filled(action.text), clear_first=action.clear_first)
        self._used |= {name: self._secrets.get(name) for name in names}
        failure: Exception | None = None
        sent: dict[str, Any] = {}
        try:
            sent = self._device.perform(filled)
        except ActionRejected:
            failure = ActionRejected(f"the device did not take {action.text}; is a text field in focus?")
        except Exception:  # whatever the driver says may quote the value
            failure = DeviceLost(f"the device did not answer while {action.text} was typed")
        if failure is not None:
            raise failure from None
        told = {"action": tool_name(TypeText), "text": action.text, "clear_first": action.clear_first}
        return told | ({"dry_run": True} if sent.get("dry_run") else {})

    @property
    def holds_secrets(self) -> bool:
        """Whether a value was filled in, so that the device's own state may hold it."""
        return bool(self._used)

    def screenshot(self) -> Image.Image:
        """The screen, with everything painted over that shows a value used so far."""
        image = self._device.screenshot()
        if not self._used:
            return image
        try:
            hidden = [element.bounds for element in self._device.elements() if self._shows(element.text)]
        except DeviceLost:  # without a tree nobody can say where the value stands
            return Image.new("RGB", image.size, COVER)
        if not hidden:
            return image
        image = image.copy()
        brush = ImageDraw.Draw(image)
        for left, top, right, bottom in hidden:
            brush.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), fill=COVER)
        return image

    def elements(self) -> list[Element]:
        """The elements, with names in place of values."""
        return [_renamed(element, self._without(element.text)) for element in self._device.elements()]

    def film(self) -> Any:
        """The device's own video, which ends for the agent once a value was used: nothing is painted over in it."""
        film = getattr(self._device, "film", lambda: None)()
        return None if film is None else _FilmWithoutValues(film, self)

    def _shows(self, text: str) -> bool:
        return any(value in text for value in self._used.values())

    def _without(self, text: str) -> str:
        for name, value in self._used.items():
            text = text.replace(value, "{{" + name + "}}")
        return text

    def _without_values(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._without(value)
        if isinstance(value, dict):
            return {key: self._without_values(item) for key, item in value.items()}
        return [self._without_values(item) for item in value] if isinstance(value, list) else value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)


class _FilmWithoutValues:
    """A video of which nothing is shown any more once a value was filled in."""

    def __init__(self, film: Any, device: SecretFiller) -> None:
        self._film, self._device = film, device

    def frames(self, since: float) -> Any:
        return [] if self._device.holds_secrets else self._film.frames(since)

    def close(self) -> None:
        self._film.close()


def _renamed(element: Element, text: str) -> Element:
    return element if text == element.text else dataclasses.replace(element, text=text)
