"""A server that speaks S3 (localbucket), with a network's slowness and a storage's faults. Run it as a program.

    python faulty_bucket.py FOLDER LATENCY_S SHARE_OF_FAULTS

It prints its port. What goes wrong, and when, is a function of the object's name and of how often it was asked for.
Objects below `dead/` answer 500 every time.
"""

import collections
import io
import random
import sys
import threading
import time
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from localbucket import S3Error, S3Handler

FAULTS = ("throttled", "broken", "cut", "short", "other", "slow", "silent")
SLOW_S = 3.0


class FaultyHandler(S3Handler):
    """Every GET of an object waits, and some go wrong."""

    disable_nagle_algorithm = True
    wbufsize = -1
    latency_s = 0.0
    share = 0.0
    asked: ClassVar[collections.Counter] = collections.Counter()
    lock = threading.Lock()
    fault = ""

    def log_message(self, format, *args):
        pass

    def handle_expect_100(self):
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def _get(self, bucket, key, include_body):
        with self.lock:
            self.asked[key] += 1
            rng = random.Random(f"{key}/{self.asked[key]}")
        time.sleep(self.latency_s)
        self.fault = rng.choice(FAULTS) if rng.random() < self.share else ""
        if self.fault == "throttled":
            raise S3Error(HTTPStatus.SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate.")
        if self.fault == "broken" or key.startswith("dead/"):
            raise S3Error(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", "We encountered an internal error.")
        if self.fault == "slow":
            time.sleep(SLOW_S)
        if self.fault == "silent":
            self.close_connection = True
            return
        super()._get(bucket, key, include_body)

    def _send_file(self, status, file, start, length, headers, include_body):
        if self.fault == "cut":  # the body ends before the length that was announced
            self.close_connection = True
            self._send_headers(status, length, headers)
            self.wfile.write(file.read(length // 2))
        elif self.fault == "short":  # a whole answer of half an object
            super()._send_file(status, file, start, length // 2, headers, include_body)
        elif self.fault == "other":  # as long as it should be, with other bytes
            super()._send_file(status, io.BytesIO(b"x" * length), 0, length, headers, include_body)
        else:
            super()._send_file(status, file, start, length, headers, include_body)


class Server(ThreadingHTTPServer):
    """Takes many connections at once, and clients that go away."""

    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


if __name__ == "__main__":
    FaultyHandler.data_root = Path(sys.argv[1]).resolve()
    FaultyHandler.latency_s, FaultyHandler.share = float(sys.argv[2]), float(sys.argv[3])
    server = Server(("127.0.0.1", 0), FaultyHandler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
