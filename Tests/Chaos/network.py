"""The network of a fleet: one switch, and what is wrong with its cables."""
import contextlib
import fcntl
import json
import os
import struct
import subprocess
import sys

from world import Process

HERE = os.path.dirname(os.path.abspath(__file__))
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x2, 0x1000
# This world itself: the registry's servers and the observer.
CORE = "core"


def make_tap(name):
    """A descriptor that reads and writes the frames of a new interface of the current network namespace."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return tap


class Network:
    """Machines bring their taps; `start` connects them."""

    def __init__(self, core_addresses, folder):
        self.taps, self.process, self.effects, self.folder = {CORE: make_tap("core")}, None, [], folder
        for words in (*(f"address add {address}/24 dev core" for address in core_addresses), "link set core up"):
            subprocess.run(["ip", *words.split()], check=True)

    def start(self):
        self.process = Process(
            [sys.executable, f"{HERE}/switch.py", *(f"{name}={tap}" for name, tap in self.taps.items())],
            f"{self.folder}/switch.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=self.taps.values())
        for tap in self.taps.values():
            os.close(tap)

    def spoil(self, one="*", other="*", **effect):
        """Loss, delay or rate (see switch.py) both ways between two machines."""
        self.effects += [{"from": source, "to": target, **effect} for source, target in ((one, other), (other, one))]
        self._tell()

    def cut(self, one="*", other="*"):
        """Everything between two machines is lost, without a word."""
        self.spoil(one, other, loss=1)

    def heal(self):
        self.effects = []
        self._tell()

    @contextlib.contextmanager
    def spoiled(self, one="*", other="*", **effect):
        self.spoil(one, other, **effect)
        try:
            yield
        finally:
            self.heal()

    def _tell(self):
        pipe = self.process.process
        pipe.stdin.write(json.dumps(self.effects).encode() + b"\n")
        pipe.stdin.flush()
        pipe.stdout.readline()
