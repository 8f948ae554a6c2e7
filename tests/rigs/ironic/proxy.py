"""A way to Ironic that counts what goes through it and kills whoever asks at a chosen request.

The request is passed on and its answer awaited: what was asked for is done, and who asked does not live to hear of it.
"""
import http.client
import http.server
import os
import signal
import threading


class Proxy:
    def __init__(self, port):
        """`port`: Ironic's, on this machine."""
        self.lock = threading.Lock()
        self.requests, self.victim, self.at = [], None, None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection", "content-length")}
                upstream.request(self.command, self.path, body or None, headers)
                answer = upstream.getresponse()
                said = answer.read()
                upstream.close()
                outer.passed(self.command, self.path, answer.status)
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = pass_on

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass                            # whoever was killed has hung up

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def passed(self, method, path, status):
        with self.lock:
            self.requests.append((method, path.split("?")[0], status))
            done = len(self.writes())
            if self.victim and self.at == done and method != "GET":
                os.kill(self.victim.pid, signal.SIGKILL)
                self.victim = None

    def writes(self):
        """What was not only read and was not refused."""
        return [r for r in self.requests if r[0] != "GET" and r[2] < 300]

    def forget(self):
        with self.lock:
            self.requests, self.victim, self.at = [], None, None

    def kill(self, process, at):
        """End `process` when its request number `at` that changes something has done so."""
        with self.lock:
            self.victim, self.at = process, at

    def close(self):
        self.server.shutdown()
        self.server.server_close()
