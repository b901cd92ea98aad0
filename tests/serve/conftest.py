"""A server with the embedded model, for all tests of this folder."""

import pytest

from qwen2vl_agent.agent.loading import load
from qwen2vl_agent.commands.models import EMBEDDED


@pytest.fixture(scope="session")
def loaded():
    """The embedded model and its processor."""
    return load(str(EMBEDDED))


@pytest.fixture(scope="session")
def engine(loaded):
    """The model as a server has it."""
    from qwen2vl_agent.serve.engine import Engine

    return Engine(*loaded, "tiny")


@pytest.fixture(scope="session")
def url(engine):
    """The address of a running server."""
    from qwen2vl_agent.serve.access import AccessRules
    from qwen2vl_agent.serve.openai_api import make_app
    from qwen2vl_agent.serve.running import bound_socket, running

    listening = bound_socket("127.0.0.1", 0)
    rules = AccessRules(host="127.0.0.1", port=listening.getsockname()[1], max_body_bytes=8 * 2**20)
    with running(make_app(engine, rules), listening) as address:
        yield address
