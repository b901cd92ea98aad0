"""Who acts, from the words of a command or a job: a script, a model in this process, or one behind an address."""

from typing import Any

from qwen2vl_agent.agent.loading import LoadSettings, load
from qwen2vl_agent.agent.policy import Policy, scripted_policy
from qwen2vl_agent.agent.settings import VERIFIED, AgentConfig, taught_settings
from qwen2vl_agent.schema.errors import ConfigError


def is_address(model: str) -> bool:
    """Whether a model is one behind OpenAI's API."""
    return model.startswith(("http://", "https://"))


def chosen_policy(
    name: str, model: str = "", loading: LoadSettings | None = None, sampling: dict[str, Any] | None = None
) -> Policy:
    """The policy of this name.

    Args:
        model: folder, hub id or address, for the policy `model`.
        sampling: fields of `SamplingConfig`, for a model; of one behind an address `constrained` alone.

    Raises:
        ConfigError: there is no such policy or model, or the server offers no such sampling.
        CheckpointError: the model cannot be loaded.
        EndpointLost: the server does not answer.
    """
    sampling = sampling or {}
    if name != "model":
        return scripted_policy(name)
    if is_address(model):
        from qwen2vl_agent.agent.endpoint_policy import connect

        if "samples" in sampling:
            raise ConfigError(
                "--samples compares what a model in this process finds likely; leave it out with an address"
            )
        return connect(model, sampling.get("constrained", True))
    from qwen2vl_agent.agent.model_policy import ModelPolicy, SamplingConfig

    return ModelPolicy(*load(model, loading), SamplingConfig(**sampling))


def usual_settings(model: str) -> AgentConfig:
    """The settings of a model's agent: as it was taught, as its server tells, or `VERIFIED`; the default without one.

    Raises:
        ConfigError: they cannot be read, or the address is none.
        EndpointLost: the server does not answer.
    """
    if not is_address(model):
        return taught_settings(model)
    from qwen2vl_agent.agent.endpoint_policy import connect

    told = connect(model).agent_settings
    return AgentConfig.from_json(told) if told else VERIFIED
