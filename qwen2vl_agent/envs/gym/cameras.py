"""Which camera draws a robot's picture, where its model has several."""

from typing import Any

from qwen2vl_agent.schema.errors import ConfigError

FREE, FREE_ID = "free", -1
"""The camera that a model does not list: it looks at the whole from where the environment put it."""
BODIES = ("point_env", "ant_env")
"""Where a maze keeps the environment that draws."""


def look_from(env: Any, env_id: str, camera: str) -> None:
    """Have `camera` draw the pictures.

    Raises:
        ConfigError: there is no such camera, or no choice of any.
    """
    world = env.unwrapped
    drawn = next((getattr(world, name) for name in BODIES if hasattr(world, name)), world)
    renderer, model = getattr(drawn, "mujoco_renderer", None), getattr(drawn, "model", None)
    if renderer is None or model is None:
        raise ConfigError(f"{env_id} has no cameras to choose from")
    ids = {model.camera(number).name: number for number in range(model.ncam)} | {FREE: FREE_ID}
    if camera not in ids:
        raise ConfigError(f"{env_id} has no camera {camera!r}; there are {', '.join(ids)}")
    renderer.camera_id = ids[camera]
    if hasattr(world, "camera_name"):  # of Meta-World, whose cameras are not all the same way up
        world.camera_name = camera
