"""A Debian machine in a folder: made with debootstrap, started with its own systemd, in the network of this world."""
import os
import shutil
import subprocess
import tempfile

import world
from world import Process, Trouble, wait_for

MIRROR = "http://deb.debian.org/debian"

# Mounts what systemd needs and becomes it; nothing outside is touched. cgroups in the only form that all releases take.
BOOT = r"""
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do touch "dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/outside
pivot_root . run/outside
umount -l /run/outside
rmdir /run/outside
exec chroot . "$2"
"""


def make_base(folder, release, packages, more=()):
    """A minimal Debian in `folder`, with systemd, and in its cache what the packages depend on, and `more`; needs the
    mirror. The packages themselves are in its root folder."""
    if not os.path.exists(f"{folder}/etc/debian_version"):
        shutil.rmtree(folder, ignore_errors=True)
        partial = folder + ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        run(["debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv", release, partial, MIRROR])
        os.rename(partial, folder)
    for package in packages:
        shutil.copy(package, folder)
    names = ["/" + os.path.basename(package) for package in packages]
    run(["chroot", folder, "apt-get", "--quiet", "--quiet", "update"])
    run(["chroot", folder, "apt-get", "--quiet", "--quiet", "--yes", "--no-install-recommends", "--download-only",
         "install", names[0], *more])


def run(argv, seconds=600):
    """Runs a command; its output is shown only when it fails."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        # A file and no pipe: what the command leaves running may keep it open.
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                   env={"PATH": world.PATH, "LC_ALL": "C.UTF-8"})
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            status = None
        output.seek(0)
        text = output.read()
    if status != 0:
        ending = "has not ended after so long" if status is None else f"ended with {status}"
        raise Trouble(f"{' '.join(argv)} {ending}:\n{text[-4000:]}")
    return text


def boot_command(root, first):
    return ["unshare", "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child", "--",
            "/bin/sh", "-c", BOOT, "boot", root, first]


def why_not(base):
    """Why this kernel, or the container around us, lets nobody start a system in namespaces; None if it does."""
    tried = subprocess.run(boot_command(base, "/bin/true"), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           env={"PATH": world.PATH, "LC_ALL": "C.UTF-8"})
    return None if tried.returncode == 0 else tried.stderr.strip() or f"status {tried.returncode}"


class DebianMachine:
    """One machine; it uses the network of its starter."""

    def __init__(self, base, folder, name, address):
        self.root, self.log, self.process = f"{folder}/{name}", f"{folder}/{name}.log", None
        run(["cp", "--archive", "--reflink=auto", base, self.root])
        self.write("/etc/dpkg/dpkg.cfg.d/in-a-test", "force-unsafe-io\n")  # nobody needs it after a power cut
        self.write("/etc/hostname", name + "\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost\n{address} {name}\n")

    def write(self, path, text):
        path = self.root + path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def read(self, path):
        with open(self.root + path) as file:
            return file.read()

    def start(self, first="/lib/systemd/systemd"):
        """Has `first` as process 1, and returns when it is at work: systemd, or a program that sleeps."""
        self.process = Process(boot_command(self.root, first), self.log, env={"container": "lxc"})
        is_up = self.is_up if first.endswith("systemd") else self.is_asleep
        wait_for(f"{first} is up", is_up, seconds=60, while_alive=[self.process])
        return self

    def is_asleep(self):
        try:
            return self.ask("cat", "/proc/1/comm").strip() == "sleep"
        except (Trouble, OSError):
            return False

    def stop(self):
        """Pulls the plug."""
        self.process.kill()

    def is_up(self):
        try:
            return self.ask("systemctl", "is-system-running").strip() in ("running", "degraded")
        except (Trouble, OSError):
            return False

    @property
    def init(self):
        """Process 1, as its number is out here."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            children = file.read().split()
        if not children:
            raise Trouble(f"the machine has no process 1\n{world.tail(self.log)}")
        return int(children[0])

    def command(self, *argv):
        return ["nsenter", "--target", str(self.init), "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--root", "--wd",
                "--", *argv]

    def do(self, *argv, seconds=120):
        """Runs a command in the machine; a failure is Trouble. Returns what it printed."""
        return run(self.command(*argv), seconds)

    def ask(self, *argv):
        """The same, whatever its exit status."""
        done = subprocess.run(self.command(*argv), capture_output=True, text=True,
                              env={"PATH": world.PATH, "LC_ALL": "C.UTF-8"})
        return done.stdout

    def status(self, *argv):
        return subprocess.run(self.command(*argv), capture_output=True, env={"PATH": world.PATH}).returncode

    def install(self, package):
        """With apt, as an operator does, from what is in its cache."""
        self.do("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--no-install-recommends",
                "--allow-downgrades", "-o", "Dpkg::Options::=--force-confdef", "install", package, seconds=600)

    def files(self):
        """Every path but those of the kernel's file systems, with type and, of links, target."""
        found = {}
        for folder, folders, names in os.walk(self.root):
            inside = folder[len(self.root):] or "/"
            folders[:] = [f for f in folders if f"{inside.rstrip('/')}/{f}" not in ("/proc", "/sys", "/dev", "/run")]
            for name in folders + names:
                path = f"{inside.rstrip('/')}/{name}"
                found[path] = os.readlink(self.root + path) if os.path.islink(self.root + path) else ""
        return found
