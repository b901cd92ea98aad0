"""The picture of an environment: what `render` draws, or an observation that is one itself."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces
from PIL import Image

from qwen2vl_agent.schema.errors import ConfigError

SMALLEST = 112
"""Pictures with a shorter side are enlarged by a whole number: what is drawn in 8 pixels a cell vanishes in patches."""
IMAGE_KEYS = ("image", "rgb", "pixels", "screenshot", "screen", "observation", "obs")
MOST_NUMBERS, DIGITS = 128, 9
"""Numbers of one part of an observation, at most; and digits of a number, enough for every one of 32 bits."""


class Pictures:
    """Finds the picture at every step. Which of the two ways is settled when the environment is made."""

    def __init__(self, env: Any, env_id: str) -> None:
        """See how `env` shows itself.

        Raises:
            ConfigError: neither draws itself nor observes pictures.
        """
        self._env, self._id = env, env_id
        self._renders = getattr(env, "render_mode", None) == "rgb_array"
        self._path = None if self._renders else image_path(env.observation_space)
        if not self._renders and self._path is None:
            modes = ", ".join(env.metadata.get("render_modes", ())) or "none"
            raise ConfigError(
                f"{env_id} shows no picture: its render modes are {modes} (rgb_array is needed) and its observations "
                "are no images"
            )

    def take(self, observation: Any) -> Image.Image:
        """What it shows now.

        Raises:
            ConfigError: it draws nothing.
        """
        pixels = self._env.render() if self._renders else _inside(observation, self._path or ())
        if isinstance(pixels, list) and pixels:
            pixels = pixels[-1]
        if not isinstance(pixels, np.ndarray) or pixels.size == 0:
            raise ConfigError(f"{self._id} drew {type(pixels).__name__} where a picture is expected")
        return as_image(pixels)


def image_path(space: spaces.Space[Any]) -> tuple[Any, ...] | None:
    """Where in an observation its picture stands; None where there is none."""
    found = sorted(_image_paths(space, ()), key=_rank)
    return found[0] if found else None


def _rank(path: tuple[Any, ...]) -> tuple[int, int]:
    last = path[-1] if path else ""
    return IMAGE_KEYS.index(last) if last in IMAGE_KEYS else len(IMAGE_KEYS), len(path)


def _image_paths(space: spaces.Space[Any], path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _image_paths(part, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for place, part in enumerate(space.spaces):
            yield from _image_paths(part, (*path, place))
    elif isinstance(space, spaces.Box) and _is_image(space):
        yield path


def _is_image(space: spaces.Box) -> bool:
    shape = space.shape
    layout = (len(shape) == 3 and (shape[2] in (1, 3, 4) or shape[0] in (1, 3, 4))) or len(shape) == 2
    return layout and space.dtype == np.uint8 and bool(np.all(space.high == 255)) and min(sorted(shape)[-2:]) >= 8


def _inside(observation: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        observation = observation[key]
    return np.asarray(observation)


def as_image(pixels: np.ndarray) -> Image.Image:
    """An array [H, W], [H, W, 1|3|4] or [1|3|4, H, W] as a picture in RGB, enlarged where it is tiny."""
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4) and pixels.shape[0] in (1, 3, 4):
        pixels = np.moveaxis(pixels, 0, 2)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if pixels.dtype != np.uint8:
        scale = 255.0 if np.issubdtype(pixels.dtype, np.floating) and pixels.max(initial=0.0) <= 1.0 else 1.0
        pixels = np.clip(pixels * scale, 0, 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, :3]))
    times = -(-SMALLEST // min(image.size))
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST) if times > 1 else image


def numbers_of(observation: Any) -> dict[str, list[float]]:
    """The numbers of an observation by name, pictures and what is not finite left out.

    Worked example: `{"arm": array([0.12, -1.5]), "goals": (3, 4)}` has `arm: [0.12, -1.5], goals0: [3], goals1: [4]`.
    """
    return dict(_numbers(observation, ""))


def in_words(numbers: dict[str, list[float]]) -> str:
    """`arm: 0.12 -1.5; goals0: 3`."""
    return "; ".join(f"{name}: {' '.join(f'{value:.3g}' for value in values)}" for name, values in numbers.items())


def _numbers(observation: Any, name: str) -> Iterator[tuple[str, list[float]]]:
    if isinstance(observation, dict):
        for key, part in observation.items():
            yield from _numbers(part, f"{name}.{key}" if name else str(key))
    elif isinstance(observation, tuple | list):
        for place, part in enumerate(observation):
            yield from _numbers(part, f"{name}{place}")
    elif isinstance(observation, int | float | np.number | np.ndarray):
        values = np.asarray(observation).ravel()
        if 0 < values.size <= MOST_NUMBERS and values.dtype.kind in "biuf" and np.isfinite(values).all():
            yield name or "observation", [float(f"{value:.{DIGITS}g}") for value in values.astype(float)]
