"""Secrets are filled in at the device and nowhere else."""

import json
import logging
import traceback
from pathlib import Path

import pytest

from qwen2vl_agent.envs.register import make_env
from qwen2vl_agent.envs.secrets import COVER, SecretFiller, Secrets, read_secrets, secrets_in
from qwen2vl_agent.schema.actions import OpenApp, Tap, TypeText
from qwen2vl_agent.schema.errors import ActionRejected, ConfigError, DeviceLost
from qwen2vl_agent.schema.geometry import Point

VALUE, NAME = "hunter22", "{{password:bank}}"


def phone(value: str = VALUE):
    """A small virtual phone with the field of a contact's search open."""
    env = make_env("virtual-phone", seed=3, size=(540, 1200), secrets=Secrets({"password:bank": value}))
    env.reset(seed=3)
    env.step(OpenApp(name="Settings"))
    field = next(element for element in env.device.elements() if element.resource_id.endswith(":search"))
    env.step(Tap(point=Point(*field.centre, env.device.frame)))
    return env


def test_names_are_found_and_filled() -> None:
    assert secrets_in("a {{ password:bank }} b {{pin}}") == ["password:bank", "pin"]
    assert Secrets({"pin": "1234"}).filled("x {{pin}}") == "x 1234"
    assert "1234" not in repr(Secrets({"pin": "1234"}))


def test_the_value_reaches_the_device_and_only_the_name_comes_back() -> None:
    env = phone()
    _, _, _, _, info = env.step(TypeText(text=NAME))
    assert VALUE in json.dumps(env.device.phone_state().to_json())  # the phone has it
    assert info["performed"] == {"action": "type_text", "text": NAME, "clear_first": False}
    told = [element.text for element in env.device.elements()] + [env.observation.text]
    assert NAME in " ".join(told)
    assert VALUE not in " ".join(told)


def test_no_pixel_tells_the_value() -> None:
    """Two values of the same letters, so of the same width, give the very same screens; uncovered they do not."""
    screens, bare = [], []
    for value in (VALUE, VALUE[::-1]):
        env = phone(value)
        env.step(TypeText(text=NAME))
        screens.append(env.observation.image.tobytes())
        bare.append(env.device._device.screenshot().tobytes())
        assert env.observation.image.getpixel(_middle_of_cover(env)) == COVER
    assert bare[0] != bare[1]
    assert screens[0] == screens[1]


def _middle_of_cover(env) -> tuple[int, int]:
    return next(element for element in env.device.elements() if NAME in element.text).centre


def test_the_value_comes_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN2VL_AGENT_SECRET_PASSWORD_BANK", VALUE)
    assert Secrets().get("password:bank") == VALUE


def test_an_unknown_secret_types_nothing() -> None:
    env = phone()
    before = env.device.phone_state().to_json()
    _, _, _, _, info = env.step(TypeText(text="{{password:mail}}"))
    assert info["action_error"] == "there is no secret called 'password:mail'"
    assert env.device.phone_state().to_json() == before


@pytest.mark.parametrize("error", [ActionRejected, DeviceLost, ValueError])
def test_no_error_quotes_the_value(error: type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    class Device:
        def perform(self, action):
            raise error(f"refused `input text {action.text}`")

    caplog.set_level(logging.DEBUG)
    with pytest.raises((ActionRejected, DeviceLost)) as caught:
        SecretFiller(Device(), Secrets({"password:bank": VALUE})).perform(TypeText(text=NAME))
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert NAME in told
    assert VALUE not in told


def test_where_the_tree_cannot_be_read_the_whole_screen_is_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    env = phone()
    env.step(TypeText(text=NAME))

    def no_tree():
        raise DeviceLost("no tree")

    monkeypatch.setattr(env.device._device, "elements", no_tree)
    assert env.look_again().image.getcolors() == [(540 * 1200, COVER)]


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text(f'"password:bank" = "{VALUE}"\n')
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_secrets(path)
    path.chmod(0o600)
    assert read_secrets(path).filled(NAME) == VALUE


@pytest.mark.parametrize("text", ['password = "abc', "pin = 1234", '"a b" = "secret"', 'pin = "123"'])
def test_a_file_that_is_no_list_of_secrets_is_refused_without_its_values(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        read_secrets(path)
    told = "".join(traceback.format_exception(caught.value))
    assert not any(value in told.split("secrets.toml:")[-1] for value in ("abc", "1234", '"secret"', '"123"'))
