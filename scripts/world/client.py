"""Programs that the demo and the tests start beside the agents: a steady client, and tasks that answer with their name."""
import json
import os
import subprocess
import sys

from world.namespace import SYNAPSE_ADDRESS
from world.process import Process

PROGRAMS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "programs")


def start_task(name, port, log, address="0.0.0.0", enter=()):
    """A task: a process that answers HTTP with its name; `enter` is the command that enters its machine."""
    return Process([*enter, sys.executable, f"{PROGRAMS}/task.py", name, address, str(port)], log)


class SteadyClient:
    """A client that sends requests all the time, as a process of its own; it reports on request."""

    def __init__(self, port, folder, enter=(), connections=4, rate=50):
        """`connections` that are kept and one that is always new, each with `rate` requests per second."""
        argv = [sys.executable, f"{PROGRAMS}/steady_client.py", SYNAPSE_ADDRESS, str(port), str(connections), str(rate)]
        self.process = Process([*enter, *argv], f"{folder}/client-{port}.log", stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)

    def ask(self, *words):
        """The client's answer to one command line: `report`, or `seen TASK`."""
        pipe = self.process.process
        pipe.stdin.write((" ".join(words) + "\n").encode())
        pipe.stdin.flush()
        return json.loads(pipe.stdout.readline())

    def report(self):
        return self.ask("report")

    def total(self):
        """Requests that were answered."""
        return sum(self.report()["ok"].values())
