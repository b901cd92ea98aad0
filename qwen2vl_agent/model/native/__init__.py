"""Kernels in C++ for what PyTorch has no fast operator for on CPUs, each with its plain form elsewhere.

They are compiled once, on the machine they run on and for its processor (`build`), and use PyTorch's threads. Without a
compiler, or with QWEN2VL_AGENT_NATIVE=off, the plain forms serve.
"""
