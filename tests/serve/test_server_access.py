"""Who reaches the servers, and where their tokens are never seen: real processes and sockets."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from qwen2vl_agent import cli
from qwen2vl_agent.agent.endpoint import Endpoint, EndpointConfig
from qwen2vl_agent.envs.virtual_phone.server import start_virtual_phone
from qwen2vl_agent.schema.errors import ConfigError
from qwen2vl_agent.serve.guard import new_token, read_token
from qwen2vl_agent.serve.live_page import serving_live_page
from qwen2vl_agent.serve.viewer_server import Gallery, make_server

OTHER = "127.0.0.2"
"""Reaches what listens at every address of this machine, and not what listens at 127.0.0.1 only."""
TOKEN = "a-token-of-mine-0123456789"


@contextmanager
def model_server(*flags: str, **variables: str):
    """`qwen2vl-agent serve` as a process: the process, what it told, and all that it printed until its end."""
    command = [sys.executable, "-m", "qwen2vl_agent", "serve", "--port", "0", "--json", *flags]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables}
    )
    printed: list[str] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            printed.append(line)
            if line.startswith("{"):
                break
        yield process, json.loads(printed[-1]), printed
    finally:
        process.terminate()
        printed += process.stdout.readlines()
        process.wait(30)
        process.stdout.close()


@contextmanager
def page_of_an_episode():
    with serving_live_page() as (_, url):
        yield urlsplit(url).port


@contextmanager
def viewer():
    with make_server(Gallery({})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def virtual_phone():
    with start_virtual_phone(size=(270, 600)) as phone:
        yield phone.port


@contextmanager
def model():
    with model_server() as (_, told, _):
        yield urlsplit(told["url"]).port


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of this machine")
@pytest.mark.parametrize("server", [page_of_an_episode, viewer, virtual_phone, model])
def test_a_server_listens_to_this_machine_only_unless_told(server):
    with server() as port:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((OTHER, port), timeout=10)


def status(port: int, path: str, headers: dict[str, str], host: str = OTHER) -> tuple[int, bytes]:
    wire = http.client.HTTPConnection(host, port, timeout=60)
    try:
        wire.request("GET", path, headers=headers)
        answer = wire.getresponse()
        return answer.status, answer.read()
    finally:
        wire.close()


def test_a_server_that_is_open_to_the_network_makes_a_token_and_asks_for_it():
    with model_server("--host", "0.0.0.0") as (_, told, printed):
        port, token = urlsplit(told["url"]).port, told["token"]
        assert any(token in line for line in printed)
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {token}"}):
            assert status(port, "/v1/models", headers)[0] == 401
        assert status(port, "/metrics", {})[0] == 401
        assert status(port, "/v1/models", {"Authorization": f"Bearer {token}"})[0] == 200


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
@pytest.mark.parametrize("way", ["file", "variable"])
def test_a_given_token_is_in_no_process_title_log_or_error(way, tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    flags, variables = (["--token-file", str(file)], {}) if way == "file" else ([], {"QWEN2VL_AGENT_TOKEN": TOKEN})
    with model_server(*flags, **variables) as (process, told, printed):
        port = urlsplit(told["url"]).port
        assert TOKEN.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        refused, answer = status(port, "/v1/models", {"Authorization": f"Bearer {TOKEN}x"}, "127.0.0.1")
        assert (refused, TOKEN.encode() in answer) == (401, False)
        assert status(port, "/v1/models", {"Authorization": f"Bearer {TOKEN}"}, "127.0.0.1")[0] == 200
        assert TOKEN.encode() not in status(port, "/health", {}, "127.0.0.1")[1]
    assert TOKEN not in "".join(printed)


def test_no_flag_takes_a_token_or_key_itself(capsys):
    for name in cli.COMMANDS:
        with pytest.raises(SystemExit):
            cli.main([name, "--help"])
        flags = {word for word in capsys.readouterr().out.split() if word.startswith("--")}
        assert not flags & {"--token", "--key", "--api-key", "--password", "--secret"}, name


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        (TOKEN, 0o644, "chmod 600"),
        ("short", 0o600, "16 or more"),
        ("two lines of it\nand another", 0o600, "one line"),
        ("", 0o600, "16 or more"),
    ],
)
def test_a_token_that_others_know_or_guess_is_refused_without_telling_it(tmp_path, text, mode, told):
    file = tmp_path / "token"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=told) as refused:
        read_token(file)
    assert not text or text not in str(refused.value)


def test_a_new_token_has_192_random_bits():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 32 for token in tokens)


@pytest.mark.parametrize(
    "url",
    ["http://user:hunter22@host/v1", "user:hunter22@host/v1", "http://host/v1?api_key=hunter22", "ftp://u:hunter22@h"],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigError, match="QWEN2VL_AGENT_API_KEY") as refused:
        Endpoint(EndpointConfig(url=url))
    assert "hunter22" not in str(refused.value)


def test_the_key_of_an_endpoint_is_in_no_description_of_it():
    assert "hunter22" not in repr(EndpointConfig(url="http://host/v1", key="hunter22"))
