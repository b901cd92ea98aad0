"""A device's tools over the Model Context Protocol, by its official SDK, on standard input and output."""

from typing import Any

from qwen2vl_agent import __version__
from qwen2vl_agent.schema.errors import ConfigError, OperatorError
from qwen2vl_agent.serve.device_tools import POINTS, Answered, DeviceTools


def require_mcp() -> None:
    """Looks for the protocol's package.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import mcp.server.lowlevel  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"this needs one more package ({error}); pip install 'qwen2vl-agent[mcp]'") from error


def make_mcp_server(tools: DeviceTools, device: str) -> Any:
    """The server. Calls are done one at a time, in the order in which they come."""
    from mcp import types
    from mcp.server.lowlevel import Server

    async def list_tools(context: Any, params: Any) -> Any:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=spec.name,
                    description=spec.description,
                    input_schema=spec.parameters,
                    annotations=types.ToolAnnotations(read_only_hint=spec.name == "screenshot"),
                )
                for spec in tools.specs
            ]
        )

    async def call_tool(context: Any, params: Any) -> Any:
        try:
            answered = tools.call(params.name, params.arguments)
        except OperatorError as error:
            return types.CallToolResult(content=[types.TextContent(type="text", text=str(error))], is_error=True)
        return types.CallToolResult(content=_content(answered), is_error=answered.error)

    def _content(answered: Answered) -> list[Any]:
        picture = types.ImageContent(type="image", data=answered.screen_base64, mime_type="image/png")
        return [types.TextContent(type="text", text=answered.text), picture]

    return Server(
        "qwen2vl-agent",
        version=__version__,
        instructions=f"Operates {device}. {POINTS}",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def run_stdio(server: Any) -> None:
    """Serve one client until it goes."""
    import anyio
    from mcp.server.stdio import stdio_server

    async def serve() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(serve)
