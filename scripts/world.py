"""A private world on this machine: namespaces of its own, a real ZooKeeper, a real HAProxy, and what talks to them.

Nothing leaves the world: its only interface is lo. When the program that made it ends, for whatever reason, every
process in it ends too. Works as root and, where the kernel allows user namespaces, without.
"""
import ctypes
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ZOOKEEPER_JAR = "/usr/share/java/zookeeper.jar"
HAPROXY = "/usr/sbin/haproxy"
SYNAPSE_ADDRESS = "169.254.255.254"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SCRATCH = "SMARTSTACK_WORLD"
LIFELINE = "SMARTSTACK_WORLD_LIFELINE"


class Trouble(Exception):
    """Something that the reader of the message can act on."""


# --- namespaces -------------------------------------------------------------------------------------------------

def namespace_command(argv, addresses=(SYNAPSE_ADDRESS,)):
    """The command line that runs argv in fresh namespaces (network, processes, mounts, host name), `addresses` on lo."""
    inner = "ip link set lo up && " + "".join(f"ip addr add {a}/32 dev lo && " for a in addresses) + 'exec "$@"'
    unshare = ["unshare", "--net", "--pid", "--fork", "--uts", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        unshare.append("--map-root-user")
    return [*unshare, "--", "/bin/sh", "-c", inner, "world", *argv]


def require_tools(*extra):
    wanted = ("unshare", "ip", "java", "haproxy", *extra)
    missing = [tool for tool in wanted if not shutil.which(tool, path=PATH)]
    if not os.path.exists(ZOOKEEPER_JAR):
        missing.append(ZOOKEEPER_JAR)
    if missing:
        raise Trouble(f"missing on this machine: {', '.join(missing)}; scripts/install-dependencies installs them")


def scratch():
    """The folder of the world this process runs in, or None outside."""
    return os.environ.get(SCRATCH)


def run_inside(argv, addresses=(SYNAPSE_ADDRESS,), prefix="smartstack."):
    """Runs argv in a new world, waits, removes its folder, and returns the exit status.

    SIGINT, SIGTERM and SIGHUP to this process end the world in an orderly way: it sees its lifeline close. Should this
    process be killed outright, the lifeline closes as well.
    """
    folder = tempfile.mkdtemp(prefix=prefix)
    os.chmod(folder, 0o755)
    reader, writer = os.pipe()
    environment = dict(os.environ, PATH=PATH, **{SCRATCH: folder, LIFELINE: str(reader)})
    world = subprocess.Popen(namespace_command(argv, addresses), env=environment, pass_fds=(reader,),
                             start_new_session=True)
    os.close(reader)

    def end(*_):
        nonlocal writer
        if writer is not None:
            os.close(writer)
            writer = None

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        _write(f"{folder}/enter", _enter_script(world.pid), mode=0o755)
        status = world.wait()
    finally:
        world.kill()
        shutil.rmtree(folder, ignore_errors=True)
    return status if status >= 0 else 128 - status


def _enter_script(unshare_pid):
    """`enter COMMAND…` runs a command inside the world of this unshare process."""
    user = "" if os.geteuid() == 0 else "--user --preserve-credentials "
    return (f"#!/bin/sh\n# Runs a command inside this world, for example: enter curl http://{SYNAPSE_ADDRESS}:20001/\n"
            f"inside=$(cat /proc/{unshare_pid}/task/{unshare_pid}/children)\n"
            f'exec nsenter {user}--net --pid --mount --target "${{inside%% *}}" -- "$@"\n')


def call_this_host(name, address):
    """Inside a world: gives the host a name that resolves to `address`, as a host's name does."""
    hosts = scratch() + "/hosts"
    _write(hosts, f"127.0.0.1 localhost\n{address} {name}\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    socket.sethostname(name)


def follow_lifeline(end):
    """Inside a world: calls `end` on a thread when the program that made the world is done with it."""
    reader = os.environ.pop(LIFELINE, None)
    if reader is None:
        return

    def wait():
        os.read(int(reader), 1)
        end()

    os.set_inheritable(int(reader), False)
    threading.Thread(target=wait, daemon=True).start()


def leave_nothing():
    """Inside a world, as its last act: removes its folder, in case the program that made it cannot any more."""
    shutil.rmtree(scratch(), ignore_errors=True)


def die_with_parent():
    """For a child of this process: SIGKILL when the parent ends."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)


def _write(path, text, mode=0o644):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


# --- processes --------------------------------------------------------------------------------------------------

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
        """The exit status, or None when it still runs after so many seconds."""
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


# --- ZooKeeper --------------------------------------------------------------------------------------------------

class ZooKeeperServer:
    """One standalone ZooKeeper on 127.0.0.1:2181 of this world, or on all its addresses."""

    address = "127.0.0.1:2181"

    def __init__(self, folder, tick_ms=2000, max_session_ms=None, bind="127.0.0.1"):
        self.folder, self.process = folder, None
        os.makedirs(folder + "/data", exist_ok=True)
        settings = [
            f"tickTime={tick_ms}", f"dataDir={folder}/data", "clientPort=2181", f"clientPortAddress={bind}",
            "maxClientCnxns=0", "admin.enableServer=false", "4lw.commands.whitelist=*", "preAllocSize=1024"]
        if max_session_ms:
            settings.append(f"maxSessionTimeout={max_session_ms}")
        _write(folder + "/zoo.cfg", "\n".join(settings) + "\n")
        _write(folder + "/log4j.properties", "\n".join([
            "log4j.rootLogger=WARN, F", "log4j.appender.F=org.apache.log4j.FileAppender",
            f"log4j.appender.F.File={folder}/zookeeper.log", "log4j.appender.F.layout=org.apache.log4j.PatternLayout",
            "log4j.appender.F.layout.ConversionPattern=%d %p %c{1} %m%n"]) + "\n")

    def start(self, seconds=60):
        self.process = Process(
            ["java", "-Xmx256m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
             "-Dzookeeper.forceSync=no", "-Dzookeeper.jmx.log4j.disable=true",
             f"-Dlog4j.configuration=file:{self.folder}/log4j.properties", "-cp", f"{self.folder}:{ZOOKEEPER_JAR}",
             "org.apache.zookeeper.server.ZooKeeperServerMain", self.folder + "/zoo.cfg"],
            self.folder + "/zookeeper.out", cwd=self.folder)
        # `ruok` is answered before clients are served.
        wait_for("ZooKeeper serves", lambda: "Mode:" in self.ask("srvr"), seconds, while_alive=[self.process])
        return self

    def ask(self, word):
        """A four-letter word's answer, or '' when nobody answers."""
        try:
            return exchange(("127.0.0.1", 2181), word, timeout=2)
        except OSError:
            return ""

    def ephemerals(self):
        """Paths of all ephemeral nodes."""
        return sorted(line.strip() for line in self.ask("dump").splitlines() if line.startswith("\t/"))

    def stop(self, number=signal.SIGTERM):
        if self.process and self.process.alive():
            self.process.send(number)
            if self.process.wait(15) is None:
                self.process.kill()


def zookeeper_client(timeout=30):
    """A kazoo client: independent of the client under test."""
    import logging
    from kazoo.client import KazooClient
    from kazoo.retry import KazooRetry
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    client = KazooClient(
        hosts=ZooKeeperServer.address, timeout=timeout,
        connection_retry=KazooRetry(max_tries=-1, delay=0.1, max_delay=0.5),
        command_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.5))
    client.start(timeout=30)
    return client


# --- HAProxy ----------------------------------------------------------------------------------------------------

class HAProxy:
    """HAProxy in master-worker mode, as Debian's unit runs it: SIGUSR2 to the master reloads."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        self.config, self.socket, self.pid_file = folder + "/haproxy.cfg", folder + "/haproxy.sock", folder + "/haproxy.pid"
        self.master_socket = folder + "/master.sock"

    def start(self):
        """Starts with a file that holds the runtime socket and no service; synapse replaces it."""
        _write(self.config, f"global\n  stats socket {self.socket} level admin expose-fd listeners\n"
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

    def reloads(self):
        """How often the master has reloaded since it was started."""
        def count():
            try:
                answer = exchange(self.master_socket, "show proc\n")
            except OSError:
                return None  # the master is just executing itself anew
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
        """The reply, or '' when HAProxy closed the connection (a reload); the next call connects anew."""
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


def in_rotation(servers_state):
    """Names of the servers that get requests, from the answer to `show servers state`."""
    found = []
    for line in servers_state.splitlines():
        fields = line.split()
        # be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state ...
        if len(fields) > 6 and fields[0].isdigit() and fields[5] == "2" and fields[6] == "0":
            found.append(fields[3])
    return sorted(found)


# --- services that fail on demand -----------------------------------------------------------------------------------

class StatusServer:
    """Answers HTTP on several ports: 200, or 503 where it was told to fail. One thread."""

    def __init__(self, address, count):
        self.failing, self.stopping = set(), False
        self.sockets = {}
        for _ in range(count):
            listener = socket.create_server((address, 0), backlog=128)
            self.sockets[listener.getsockname()[1]] = listener
        self.ports = list(self.sockets)
        threading.Thread(target=self.serve, daemon=True).start()

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
        for listener in self.sockets.values():
            listener.close()
