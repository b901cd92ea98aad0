"""Servers: OpenAI's API, the live page, the viewer, and MCP."""
