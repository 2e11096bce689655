"""The page in the browser: one file, a stream of the shop's state, and what its buttons ask for."""

import http.server
import json
import pathlib
import queue
import threading

import servers

PAGE = pathlib.Path(__file__).resolve().parent / "page.html"


class Page:
    """Serves the page on 127.0.0.1; what is asked for waits in `asked` for the main thread."""

    def __init__(self, port):
        self.asked = queue.Queue()
        self.state = b"{}"
        self.version = 0
        self.changed = threading.Condition()
        handler = type("Handler", (Handler,), {"page": self})
        try:
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError as error:
            raise servers.Failure(
                f"port {port} of this machine cannot be used ({error.strerror}); choose another with --port"
            ) from None
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, name="page", daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/"

    def show(self, state):
        """Sends a new state to every browser."""
        with self.changed:
            self.state = json.dumps(state).encode()
            self.version += 1
            self.changed.notify_all()

    def newer(self, version):
        """The state once it is newer than that, and its version."""
        with self.changed:
            self.changed.wait_for(lambda: self.version != version, timeout=10)
            return self.state, self.version


class Handler(http.server.BaseHTTPRequestHandler):
    """GET / and /live, POST /do/NAME."""

    page = None

    def do_GET(self):
        if self.path == "/":
            self.answer(200, "text/html; charset=utf-8", PAGE.read_bytes())
        elif self.path == "/live":
            self.stream()
        else:
            self.answer(404, "text/plain", b"not here\n")

    def do_POST(self):
        # Pages of other sites cannot send this header.
        if self.headers.get("X-Shop") != "1" or not self.path.startswith("/do/"):
            self.answer(403, "text/plain", b"only the shop's own page may do that\n")
            return
        self.page.asked.put(self.path.removeprefix("/do/"))
        self.answer(202, "text/plain", b"soon\n")

    def stream(self):
        """Server-sent events, for as long as the browser is there."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        version = None
        try:
            while True:
                state, version = self.page.newer(version)
                self.wfile.write(b"data: " + state + b"\n\n")
        except OSError:
            pass

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
