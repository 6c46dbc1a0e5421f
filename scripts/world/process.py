"""Processes of a world: starting, waiting, and talking to them."""
import ctypes
import os
import signal
import socket
import subprocess
import time

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Trouble(Exception):
    """Something that the reader of the message can act on."""


class Process:
    """A started program in its own process group; what it prints goes to one file."""

    def __init__(self, argv, log, cwd=None, env=None, **more):
        environment = {"PATH": PATH, "HOME": cwd or "/", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TMPDIR": cwd or "/tmp"}
        environment.update(env or {})
        self.name, self.log_path = os.path.basename(argv[0]), log
        self._log = open(log, "ab")
        self.process = subprocess.Popen(list(argv), cwd=cwd, env=environment, start_new_session=True, **{
            "stdin": subprocess.DEVNULL, "stdout": self._log, "stderr": self._log, **more})
        self.pid = self.process.pid

    def alive(self):
        return self.process.poll() is None

    @property
    def status(self):
        return self.process.poll()

    def send(self, number):
        if self.alive():
            self.process.send_signal(number)

    def wait(self, seconds):
        """The exit status, or None if it still runs after that time."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self):
        """SIGKILL to the program and what it started (its own process group only)."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self._log.close()

    def output(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def status_field(self, key):
        """A number of /proc/PID/status: VmRSS and VmHWM in kB, Threads."""
        with open(f"/proc/{self.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(key + ":"))


def wait_for(what, condition, seconds=30, pause=0.02, while_alive=()):
    """The first true value of `condition()`. The limit only ends a hung run."""
    end = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        for process in while_alive:
            if not process.alive():
                raise Trouble(f"{process.name} ended with status {process.status} while waiting for: {what}\n"
                              + tail(process.log_path))
        if time.monotonic() > end:
            raise Trouble(f"not within {seconds} s: {what}" + "".join("\n" + tail(p.log_path) for p in while_alive))
        time.sleep(pause)


def tail(path, lines=15):
    try:
        with open(path, errors="replace") as file:
            return "".join(f"  {os.path.basename(path)}| {line.rstrip()}\n" for line in file.readlines()[-lines:])
    except OSError:
        return ""


def exchange(address, text, timeout=5):
    """Sends text over a TCP (host, port) or Unix (path) connection and returns everything that comes back."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(address)
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")


def die_with_parent(number=signal.SIGKILL):
    """For a child of this process: a signal when the parent ends."""
    ctypes.CDLL(None, use_errno=True).prctl(1, number, 0, 0, 0)


def write(path, text, mode=0o644):
    """Writes a file with the given mode."""
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)
