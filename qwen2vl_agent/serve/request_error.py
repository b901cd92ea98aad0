"""What is wrong with a request, in the form that OpenAI's clients understand."""

from typing import Any

from qwen2vl_agent.schema.errors import AgentError


class RequestError(AgentError):
    """A request that cannot be answered as it is; the text is for whoever wrote it."""

    def __init__(self, message: str, param: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.param, self.status, self.code = param, status, code

    def body(self) -> dict[str, Any]:
        """The answer's body. Source: OpenAI's API reference, "Errors"."""
        kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
        kind = "server_error" if self.status >= 500 else kinds.get(self.status, "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}
