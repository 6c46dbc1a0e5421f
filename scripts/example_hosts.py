"""Hosts for the examples, inside a world: each with files of its own, and with a network of its own if wanted."""
import os
import shutil
import subprocess
import sys

import world
from world import Process, Trouble, wait_for

SCRIPTS = os.path.dirname(os.path.abspath(__file__))
ROUTER = "10.0.0.254"
HAPROXY_COMMAND = ["/usr/sbin/haproxy", "-W", "-S", "/run/synapse/haproxy-master.sock,level,admin", "-f",
                   "/run/synapse/haproxy.cfg"]
NAMES = {"nerve": ["hacheck", "haup", "hadown", "hastatus", "halist", "hashowdowned", "configure_nerve"],
         "synapse": ["configure_synapse"]}
# Runs in the host's namespaces: this machine's files below ones that nobody else sees, then waits for ever.
HOLDER = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 host "$FOLDER"
mkdir "$FOLDER/upper" "$FOLDER/work" "$FOLDER/root"
mount -t overlay -o "lowerdir=/,upperdir=$FOLDER/upper,workdir=$FOLDER/work" host "$FOLDER/root"
for name in $SHARED; do mount --rbind "/$name" "$FOLDER/root/$name"; done
mount -t tmpfs -o mode=755 run "$FOLDER/root/run"
hostname "$NAME"
ip link set lo up
exec chroot "$FOLDER/root" sh -c 'echo ready; exec sleep infinity'
"""


def protect_this_machine():
    """Inside a world: nothing but its own folder can be written any more, whatever the examples do."""
    for words in ("--make-rprivate /", f"--bind {world.scratch()} {world.scratch()}", "-o remount,bind,ro /"):
        subprocess.run(["mount", *words.split()], check=True)


def _shared_folders():
    """What a host shares with this machine: the top-level folders on which something is mounted."""
    with open("/proc/self/mountinfo") as file:
        points = [line.split()[4] for line in file]
    tops = {point.split("/")[1] for point in points if not point.startswith(world.scratch())}
    return sorted(top for top in tops if os.path.isdir("/" + top) and top not in ("", "etc", "run", "var", "usr"))


class Host:
    """A machine: its own /etc, /run, /var and /nail, and, with an address, its own network."""

    _count = 0

    def __init__(self, name, bindir, address=None, more=()):
        Host._count += 1
        self.name, self.address = name, address or "127.0.0.1"
        self.folder = f"{world.scratch()}/host-{name}"
        self.processes = {}
        os.makedirs(self.folder + "/files")
        namespaces = ["unshare", "--mount", "--uts"] + (["--net"] if address else [])
        environment = dict(os.environ, FOLDER=self.folder + "/files", NAME=name, SHARED=" ".join(_shared_folders()))
        self.holder = subprocess.Popen([*namespaces, "sh", "-c", HOLDER], env=environment, stdout=subprocess.PIPE,
                                       preexec_fn=world.die_with_parent)
        if self.holder.stdout.readline() != b"ready\n":
            raise Trouble(f"the host {name} could not be made")
        if address:
            self._connect([address, *more])
        self.must("ip", "address", "add", f"{world.SYNAPSE_ADDRESS}/32", "dev", "lo")
        self._settle(bindir)

    def _connect(self, addresses):
        """A cable to the router, which is this world."""
        cable = f"veth{Host._count}"
        lines = [f"link add {cable} type veth peer name eth0 netns {self.holder.pid}", f"link set {cable} up",
                 *(f"route add {address} dev {cable}" for address in addresses)]
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
        with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
            file.write("1")
        for words in (*(f"address add {address}/32 dev eth0" for address in addresses), "link set eth0 up",
                      f"route add {ROUTER} dev eth0", f"route add default via {ROUTER} src {addresses[0]}"):
            self.must("ip", *words.split())

    def _settle(self, bindir):
        """What the package would have brought, and a name of its own."""
        self.write("/etc/hosts", f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        self.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        for folder in ("/run/nerve", "/run/synapse/sockets", "/var/spool/hacheck", "/etc/nerve", "/etc/synapse"):
            os.makedirs(self.path(folder), exist_ok=True)
        for program, names in NAMES.items():
            for name in [program, *names]:
                os.symlink(f"{bindir}/{program}", self.path(f"/usr/local/bin/{name}"))

    # Files

    def path(self, path):
        """Where this process finds a file of the host; made sure each time not to be one of this machine's own."""
        root = f"/proc/{self.holder.pid}/root"
        if os.path.samestat(os.stat(root + "/"), os.stat("/")):
            raise Trouble(f"{self.name} has no files of its own")
        return root + path

    def write(self, path, text):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path) + ".tmp", "w") as file:
            file.write(text)
        os.rename(self.path(path) + ".tmp", self.path(path))

    def read(self, path):
        try:
            with open(self.path(path)) as file:
                return file.read()
        except OSError:
            return ""

    def copy(self, example, *parts):
        """`cp -r etc/. /etc/`, as the example's README has it."""
        for part in parts:
            shutil.copytree(f"{example}/{part}", self.path("/" + part), dirs_exist_ok=True)

    # Programs

    def _enter(self, argv):
        return ["nsenter", f"--target={self.holder.pid}", "--mount", "--uts", "--net", "--root", "--wd", "--", *argv]

    def run(self, *argv, env=None):
        """Runs a command to its end: (exit status, what it printed, errors included)."""
        environment = {"PATH": world.PATH, "HOME": "/root", "LANG": "C.UTF-8", **(env or {})}
        done = subprocess.run(self._enter(argv), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)
        return done.returncode, done.stdout.decode(errors="replace")

    def must(self, *argv, env=None, status=0):
        """Runs a command that has to end with this status; what it printed."""
        found, text = self.run(*argv, env=env)
        if found != status:
            raise Trouble(f"{self.name}: `{' '.join(argv)}` ended with {found} in place of {status}:\n{text}")
        return text

    def start(self, name, *argv, env=None):
        """Starts a program that stays."""
        process = Process(self._enter(argv), f"{self.folder}/{name}.log", cwd="/tmp", env=env)
        process.name = f"{name} on {self.name}"
        self.processes[name] = process
        return process

    def start_task(self, name, port, address="0.0.0.0"):
        """A task that answers every request with its name."""
        task = self.start(name, sys.executable, f"{SCRIPTS}/programs/task.py", name, address, str(port))
        wait_for(f"{name} answers", lambda: self.run("curl", "-sf", f"http://{self.address}:{port}/")[0] == 0,
                 while_alive=[task])
        return task

    def start_haproxy(self):
        """Once synapse has written its file."""
        wait_for("synapse writes HAProxy's file", lambda: self.read("/run/synapse/haproxy.cfg"), while_alive=self.all())
        return self.start("haproxy", *HAPROXY_COMMAND)

    def all(self):
        return list(self.processes.values())

    # What a client sees

    def answers(self, url, count=6, env=None):
        """The set of answers to some requests, each by a connection of its own; None for a missing answer."""
        found = set()
        for _ in range(count):
            status, text = self.run("curl", "-sf", "--max-time", "5", url, env=env)
            found.add(text.strip() if status == 0 else None)
        return found

    def sees(self, url, wanted, env=None):
        """Waits until exactly these answer."""
        seen = []
        try:
            wait_for(f"{self.name}: {url} is answered by {wanted}",
                     lambda: seen.append(self.answers(url, env=env)) or seen[-1] == set(wanted), while_alive=self.all())
        except Trouble as trouble:
            raise Trouble(f"{trouble}\n  last seen: {seen[-1:]}") from None

    def reloads(self):
        """How often this host's HAProxy was reloaded."""
        return self.read_log("synapse").count("HAProxy reloaded")

    def read_log(self, name):
        return self.processes[name].output()
