"""Machines of a set-up, side by side on one bridge."""
import os
import subprocess
import sys

import world
from world import wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
REGISTRY = "10.0.0.254"


def run(*argv):
    subprocess.run(argv, check=True)


def make_bridge():
    run("ip", "link", "add", "br0", "type", "bridge")
    run("ip", "address", "add", REGISTRY + "/24", "dev", "br0")
    run("ip", "link", "set", "br0", "up")


class Machine(world.Machine):
    def __init__(self, name, address, place, bindir):
        super().__init__(name, address, place, bindir, names=[("zookeeper_1", REGISTRY)])

    def wire(self):
        link = f"v-{self.short[:12]}"
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        run("ip", "link", "set", link, "master", "br0", "up")

    def start_task(self, name, *options):
        """A task that says `name`; see task.py."""
        task = self.start(sys.executable, f"{HERE}/task.py", name, *options, name=f"task-{name}")
        wait_for(f"{name} listens", lambda: "listens" in task.output(), while_alive=[task])
        return task
