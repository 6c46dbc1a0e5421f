"""Machines of one world: each with its own /etc, /nail, /run and network."""
import contextlib
import ctypes
import http.client
import json
import os
import subprocess
import sys

from world import private_machine
from world.haproxy import in_rotation
from world.namespace import SYNAPSE_ADDRESS, scratch
from world.process import PATH, Process, Trouble, die_with_parent, exchange

_libc = ctypes.CDLL(None, use_errno=True)
_NEWNET = 0x40000000

# `service NAME start|stop`, as the tools call it: what an init system does, for the two agents.
SERVICE = """#!/bin/sh
echo "service $*" >> /case/calls
case $1 in
nerve) program="nerve -c /etc/nerve/nerve.conf.json" ;;
synapse) program="synapse -c /etc/synapse/synapse.conf.json" ;;
*) exit 0 ;;
esac
pid=$(cat /run/$1.pid 2>/dev/null)
# A process that ended and was not waited for has no /proc/PID/exe.
if [ -n "$pid" ] && [ -e "/proc/$pid/exe" ]; then
  [ "$2" = start ] && exit 0
  kill "$pid"
  while [ -e "/proc/$pid/exe" ]; do sleep 0.02; done
fi
[ "$2" = start ] || exit 0
setsid $program < /dev/null >> /case/$1.log 2>&1 &
echo $! > /run/$1.pid
"""


class Machine:
    """A host: a process in namespaces of its own, that does nothing but keep them.

    `place` has its locations by their types, `names` the other machines' names and addresses. A subclass says in `wire`
    how its network is reached; then it has `eth0`.
    """

    def __init__(self, name, address, place, bindir, names=(), folder=None):
        self.name, self.address, self.folder = name, address, folder or scratch()
        self.short = name.split(".")[0]
        self.processes = []
        self.root = f"{self.folder}/{self.short}"
        os.makedirs(self.root)
        self.pid = self._enter()
        self.enter = ["nsenter", "--target", str(self.pid), "--net", "--uts", "--mount", "--root", "--wd", "--"]
        self.wire()
        for words in (f"ip address add {address}/24 dev eth0", "ip link set eth0 up", f"hostname {name}",
                      "mount -t tmpfs spool /var/spool"):
            subprocess.run([*self.enter, *words.split()], check=True)
        self.name_others(names)
        self.put("/case/bin/service", SERVICE, 0o755)
        for program in ("nerve", "configure_nerve", "hadown", "haup", "synapse", "configure_synapse"):
            target = os.path.join(bindir, "synapse" if "synapse" in program else "nerve")
            os.symlink(target, self.path(f"/case/bin/{program}"))
        for kind, where in place.items():
            self.put(f"/nail/etc/{kind}", where + "\n")

    def _enter(self):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                die_with_parent()
                private_machine.enter(self.root, addresses=(SYNAPSE_ADDRESS,))
                os.write(writer, b"+")
                os.execv("/bin/sleep", ["sleep", "infinity"])
            except BaseException as error:  # noqa: BLE001  (it must not go on as a second copy of its parent)
                print(f"{self.short}: {error}", file=sys.stderr)
                os._exit(1)
        os.close(writer)
        if os.read(reader, 1) != b"+":
            raise Trouble(f"no machine {self.short} could be made")
        os.close(reader)
        return pid

    def wire(self):
        raise NotImplementedError

    def name_others(self, names):
        """What the machine calls itself and others: pairs of name and address."""
        lines = [("localhost", "127.0.0.1"), (self.name, self.address), *names]
        self.put("/etc/hosts", "".join(f"{address} {name}\n" for name, address in lines))

    # Files

    def path(self, path):
        return f"/proc/{self.pid}/root{path}"

    def put(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path) + "~", "w") as file:
            file.write(text)
        os.chmod(self.path(path) + "~", mode)
        os.rename(self.path(path) + "~", self.path(path))

    def read(self, path):
        with open(self.path(path)) as file:
            return file.read()

    def json(self, path):
        return json.loads(self.read(path))

    def calls(self):
        """What the tools asked the init system for since the last time this was asked."""
        try:
            lines = self.read("/case/calls").splitlines()
        except FileNotFoundError:
            return []
        os.unlink(self.path("/case/calls"))
        return lines

    # Programs

    def environment(self, **more):
        return {"PATH": "/case/bin:" + PATH, **more}

    def command(self, *argv, status=0, **environment):
        """Runs a program of this machine to its end; its output."""
        try:
            done = subprocess.run([*self.enter, *argv], env=self.environment(**environment), capture_output=True, text=True,
                                  timeout=60, stdin=subprocess.DEVNULL, cwd="/")
        except subprocess.TimeoutExpired:
            raise Trouble(f"{self.short}: `{' '.join(argv)}` has not ended within a minute") from None
        if done.returncode != status:
            raise Trouble(f"{self.short}: `{' '.join(argv)}` ended with {done.returncode}, not {status}:\n"
                          + done.stdout + done.stderr)
        return done.stdout + done.stderr

    def start(self, *argv, name, **environment):
        process = Process([*self.enter, *argv], f"{self.folder}/{self.short}-{name}.log", cwd="/",
                          env=self.environment(**environment))
        self.processes.append(process)
        return process

    def pid_of(self, agent):
        return int(self.read(f"/run/{agent}.pid"))

    # Network

    @contextlib.contextmanager
    def network(self):
        """Sockets that are made meanwhile are this machine's."""
        with open(f"/proc/{self.pid}/ns/net") as inside, open("/proc/self/ns/net") as outside:
            if _libc.setns(inside.fileno(), _NEWNET) != 0:
                raise Trouble(f"cannot enter {self.short}'s network")
            try:
                yield
            finally:
                _libc.setns(outside.fileno(), _NEWNET)

    def ask(self, port, target="/", address="127.0.0.1", **headers):
        """(status, the task that answered, body) of a request made on this machine; a status of 0: nobody there."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(address, port, timeout=20)
        try:
            with self.network():
                connection.connect()
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("X-Task"), answer.read().decode().strip()
        except (OSError, http.client.HTTPException):
            return 0, None, ""
        finally:
            connection.close()

    def answering(self, port, target="/", address="127.0.0.1", times=6):
        """Which tasks answer a port, over several requests; a status in place of a name for a failure."""
        answers = [self.ask(port, target, address) for _ in range(times)]
        return {task if status == 200 else status for status, task, _ in answers}

    def in_rotation(self, backend):
        """The servers of a backend that HAProxy gives requests to: address:port."""
        try:
            state = exchange(self.path("/run/synapse/haproxy.sock"), f"show servers state {backend}\n")
        except OSError:
            return None
        return {name.rpartition("_")[2] for name in in_rotation(state)}

    def logs(self):
        return [self.path(f"/case/{agent}.log") for agent in ("nerve", "synapse")] + [p.log_path for p in self.processes]
