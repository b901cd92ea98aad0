"""What is wrong with a request, in the form that OpenAI's clients understand."""

from typing import Any

from qwen2vl_agent.schema.errors import AgentError


class RequestError(AgentError):
    """A request that cannot be answered as it is; the text is for whoever wrote it."""

    def __init__(
        self,
        message: str,
        param: str | None = None,
        status: int = 400,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.param, self.status, self.code, self.retry_after_s = param, status, code, retry_after_s

    def headers(self) -> dict[str, str]:
        """What the answer's head says beside its status."""
        closing = {"connection": "close"} if self.status == 408 else {}  # the rest of the body is not waited for
        return closing if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}

    def body(self) -> dict[str, Any]:
        """The answer's body. Source: OpenAI's API reference, "Errors"."""
        kinds = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
        kind = "server_error" if self.status >= 500 else kinds.get(self.status, "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}
