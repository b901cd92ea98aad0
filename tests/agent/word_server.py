"""A server of OpenAI's API that says what a test wants said."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from qwen2vl_agent.agent.endpoint import EndpointConfig


class Server:
    """Answers what a test says, request by request, and keeps what it was asked."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.asked: list[dict] = []
        self.models = [{"id": "other"}]

    def next(self, body):
        self.asked.append(body)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def running(server):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.give(200, {"data": server.models})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.give(*server.next(body))

        def give(self, status, answer):
            self.send_response(status)
            stream = isinstance(answer, list)
            self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
            self.end_headers()
            lines = [f"data: {piece if isinstance(piece, str) else json.dumps(piece)}\n\n" for piece in answer]
            self.wfile.write(("".join(lines) if stream else json.dumps(answer)).encode())

        def log_message(self, *given):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        config = EndpointConfig(url=f"http://127.0.0.1:{http.server_address[1]}/v1", timeout_s=20, pause_s=0)
        yield config
        http.shutdown()


def delta(**values):
    return {"choices": [{"index": 0, "delta": values}]}
