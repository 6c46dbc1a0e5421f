"""A real HAProxy, and its runtime socket."""
import os
import re
import socket

from world.process import Process, exchange, wait_for, write

HAPROXY = "/usr/sbin/haproxy"


class HAProxy:
    """HAProxy in master-worker mode, as Debian's unit runs it: SIGUSR2 to the master reloads."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.process = folder, None
        self.config, self.socket, self.pid_file = folder + "/haproxy.cfg", folder + "/haproxy.sock", folder + "/haproxy.pid"
        self.master_socket = folder + "/master.sock"

    def start(self):
        """Starts with a file that holds the runtime socket and no service; synapse replaces it."""
        write(self.config, f"global\n  stats socket {self.socket} level admin expose-fd listeners\n"
                            "defaults\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
                            "listen bootstrap\n  bind 127.0.0.1:3211\n")
        self.process = Process(
            [HAPROXY, "-W", "-S", f"{self.master_socket},level,admin", "-p", self.pid_file, "-f", self.config],
            self.folder + "/haproxy.log", cwd=self.folder)
        wait_for("HAProxy answers on its socket", lambda: self.command("show info"), while_alive=[self.process])
        return self

    def command(self, text):
        try:
            return exchange(self.socket, text + "\n")
        except OSError:
            return ""

    def deletes_servers(self):
        """Whether synapse has it delete servers: 2.6 from 2.6.13 on, 2.8 and later."""
        version = re.search(r"^Version: (\d+)\.(\d+)\.(\d+)", self.command("show info"), re.M)
        release = tuple(map(int, version.groups())) if version else (0,)
        return release >= (2, 8) or (2, 6, 13) <= release < (2, 7)

    def reloads(self):
        """How often the master has reloaded since it was started."""
        def count():
            try:
                answer = exchange(self.master_socket, "show proc\n")
            except OSError:
                return None  # the master is just executing itself again
            found = re.search(r"^\d+\s+master\s+(\d+)", answer, re.M)
            return found and found.group(1)
        return int(wait_for("HAProxy's master says how often it reloaded", count, seconds=10))

    def in_rotation(self, backend):
        """Names of the servers of a backend that get requests, as the running worker has it."""
        return in_rotation(self.command(f"show servers state {backend}"))

    def session(self):
        """A connection that stays open, for polling."""
        return HAProxySession(self.socket)


class HAProxySession:
    """HAProxy's command line kept open with `prompt`: about 0.1 ms per command."""

    PROMPT = b"\n> "

    def __init__(self, path):
        self.path, self.connection = path, None

    def command(self, text):
        """The reply, or '' when HAProxy closed the connection (a reload); the next call connects again."""
        try:
            if self.connection is None:
                self.connection = socket.socket(socket.AF_UNIX)
                self.connection.settimeout(10)
                self.connection.connect(self.path)
                self._ask("prompt")
            return self._ask(text)
        except OSError:
            self.close()
            return ""

    def _ask(self, text):
        self.connection.sendall(text.encode() + b"\n")
        reply = b""
        while not reply.endswith(self.PROMPT):
            part = self.connection.recv(65536)
            if not part:
                raise ConnectionError("closed")
            reply += part
        return reply[:-len(self.PROMPT)].decode(errors="replace")

    def in_rotation(self, backend):
        return in_rotation(self.command(f"show servers state {backend}"))

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


# The mark of a server that the file disables stays when the server is enabled at run time.
_DISABLED_IN_FILE = 0x04


def in_rotation(servers_state):
    """Names of the servers that get requests, from the answer to `show servers state`."""
    found = []
    for line in servers_state.splitlines():
        fields = line.split()
        # be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state ...
        if len(fields) > 6 and fields[0].isdigit() and fields[5] == "2" and not int(fields[6]) & ~_DISABLED_IN_FILE:
            found.append(fields[3])
    return sorted(found)
