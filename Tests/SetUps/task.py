"""A task: an HTTP server that answers OK, and says its name in X-Task.

  task.py NAME PORT [--needs HEADER=VALUE PATH] [--slow SECONDS PATH]

With --needs a PATH is answered with 500 unless the request has the header.
"""
import http.server
import socketserver
import sys
import time


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


class Task(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    name, needs, slow = "", {}, {}

    def do_GET(self):
        header, value = Task.needs.get(self.path, (None, None))
        status = 200 if header is None or self.headers.get(header) == value else 500
        time.sleep(Task.slow.get(self.path, 0))
        body = b"OK\n" if status == 200 else b"the header is missing\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Task", Task.name)
        self.send_header("X-Origin-Seen", self.headers.get("X-Smartstack-Origin", ""))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(name, port, *options):
    Task.name, options = name, list(options)
    while options:
        option, value, path = options[:3]
        del options[:3]
        if option == "--needs":
            Task.needs[path] = tuple(value.split("=", 1))
        else:
            Task.slow[path] = float(value)
    server = Server(("0.0.0.0", int(port)), Task)
    print("listens", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
