"""Services that fail on demand."""
import selectors
import socket
import threading
import time


class StatusServer:
    """Answers HTTP on several ports: 200, or 503 on ports that fail. One thread."""

    def __init__(self, address, count):
        self.failing, self.stopping = set(), False
        self.sockets = {}
        for _ in range(count):
            listener = socket.create_server((address, 0), backlog=128)
            self.sockets[listener.getsockname()[1]] = listener
        self.ports = list(self.sockets)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        selector = selectors.DefaultSelector()
        for port, listener in self.sockets.items():
            selector.register(listener, selectors.EVENT_READ, port)
        while not self.stopping:
            for key, _ in selector.select(0.2):
                connection, _ = key.fileobj.accept()
                with connection:
                    connection.recv(65536)
                    status = "503 Service Unavailable" if key.data in self.failing else "200 OK"
                    connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    def fail(self, port):
        """From now on; returns CLOCK_MONOTONIC."""
        self.failing.add(port)
        return time.monotonic()

    def close(self):
        self.stopping = True
        self.thread.join()
        for listener in self.sockets.values():
            listener.close()
