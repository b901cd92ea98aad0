"""Environments: devices with screens, behind gymnasium's contract. Importing this registers their ids."""

from qwen2vl_agent.envs.register import register_envs

register_envs()
