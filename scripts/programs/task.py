"""A task of the demo: an HTTP server that says its own name. Arguments: name, address, port."""
import http.server
import sys


class Task(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    name = ""

    def do_GET(self):
        body = f"{self.name}\n".encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        self.wfile.write(head + body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Task.name, address, port = sys.argv[1:]
    server = http.server.ThreadingHTTPServer((address, int(port)), Task)
    server.daemon_threads = True
    server.serve_forever()
