"""A fleet of light sessions on an ensemble of its own: what scenarios cost, and how soon each reader knows the truth."""
import json
import os
import re
import shutil
import subprocess
import time

import world
from benchmarks import fleet_model
from benchmarks.common import Table, percentile, write_json
from world import Process, wait_for

VOTERS, OBSERVERS = ("10.9.0.1", "10.9.0.2", "10.9.0.3"), ("10.9.0.9",)
FLAP_SECONDS = 0.5
# Processes that read; one more registers. A process is one thread.
READING = 2
PATIENCE = 240
WITHOUT_JITTER = "restart, all at once"


class LightProcess(Process):
    """Sessions of several hosts."""

    def __init__(self, fleet, name, **settings):
        folder = f"{fleet.folder}/{name}"
        os.makedirs(folder)
        write_json(f"{folder}/fleet.json", {
            "ensemble": [f"{host}:2181" for host in (*VOTERS, *OBSERVERS)], "fleet": fleet.sessions,
            "services": fleet.shape.services, "tasks": fleet.shape.tasks, "each": fleet.shape.each,
            "in_names": fleet.options.in_names, "jitter": fleet.options.jitter, **settings})
        self.errors, self.position, self.answers, self.truths, self.text = f"{folder}/errors", 0, 0, {}, ""
        with open(self.errors, "wb") as errors:
            super().__init__([f"{fleet.options.bindir}/fleet-sessions", f"{folder}/fleet.json"], f"{folder}/lines",
                             cwd=folder, stdin=subprocess.PIPE, stderr=errors)

    def tell(self, *words):
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()

    def read(self):
        """Takes what it has printed since the last time."""
        with open(self.log_path, "rb") as file:
            file.seek(self.position)
            for line in file.read().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                self.position += len(line)
                said = json.loads(line)
                if "metrics" in said:
                    self.answers, self.text = said["metrics"], said["text"]
                else:
                    # It may have known the same for a moment before.
                    self.truths[said["reader"]] = said["servers"], said["weight"], said["at"]

    def counts(self):
        """Its metrics of ZooKeeper: requests by their operation, and events."""
        wanted = self.answers + 1
        self.tell("metrics", wanted)
        wait_for("the light sessions' metrics", lambda: self.read() or self.answers >= wanted, PATIENCE, while_alive=[self])
        counts = {operation: int(value) for operation, value in
                  re.findall(r'requests_total\{.*operation="(\w+)"\} (\d+)', self.text)}
        counts["events"] = sum(map(int, re.findall(r"watch_events_total\{[^}]*\} (\d+)", self.text)))
        return counts

    def bytes_read(self):
        """Bytes that its connections gave; libzookeeper's are not among them."""
        with open(f"/proc/{self.pid}/io") as file:
            return int(file.readline().split()[1])


class Fleet:
    def __init__(self, options, sessions, shape, folder):
        os.makedirs(folder)
        self.options, self.sessions, self.shape, self.folder = options, sessions, shape, folder
        self.ensemble = world.Ensemble(f"{folder}/ensemble", VOTERS, 2000, 40_000, OBSERVERS)
        self.processes, self.readers, self.client = [], [], None
        # The weight of each task, how many of them the readers follow, and registrations of the driver's own.
        self.weights, self.known, self.markers = [1] * shape.all, shape.known, 0
        self.costs, self.rest = {}, {}

    # Processes

    def start(self):
        self.ensemble.start()
        self.client = world.zookeeper_client(hosts=f"{VOTERS[0]}:2181")
        Table().heading(f"{self.sessions:,} hosts, {self.shape.services:,} services, {self.shape.known:,} registrations")
        fleet_model.row("", *fleet_model.HEADINGS)
        self.processes.append(LightProcess(self, "nerves", reading=False, first=0, count=self.sessions))
        wait_for("all is registered", lambda: self.mntr(self.ensemble.servers[0]).get("zk_ephemerals_count") ==
                 str(self.shape.all), PATIENCE, pause=0.2, while_alive=self.processes)

    def start_readers(self, kind="usual", **more):
        share = -(-self.sessions // READING)
        self.readers = [
            LightProcess(self, f"readers-{kind}-{first}", reading=True, first=first,
                         count=min(share, self.sessions - first), **more)
            for first in range(0, self.sessions, share)]
        self.processes += self.readers
        for service in range(self.shape.services, self.shape.following(self.known)):
            for reader in self.readers:
                reader.tell("follow", service)

    def end(self):
        for process in self.processes:
            process.kill()
            if self.options.keep:
                os.makedirs(self.options.keep, exist_ok=True)
                shutil.copy(process.errors, f"{self.options.keep}/{self.sessions}-{os.path.basename(process.errors[:-7])}")
        if self.client:
            self.client.stop()
        self.ensemble.kill()

    # Counting

    @staticmethod
    def mntr(server):
        return dict(line.split("\t", 1) for line in server.ask("mntr", timeout=30).splitlines() if "\t" in line)

    def snapshot(self):
        """Everything that is counted, so far."""
        total = {"at": time.monotonic()}
        total["packets"] = sum(int(self.mntr(server).get("zk_packets_received", 0)) for server in self.ensemble.servers)
        total["watches"] = sum(int(re.search(r"Total watches:(\d+)", server.ask("wchs", timeout=30))[1])
                               for server in self.ensemble.servers)
        total["server_cpu"] = sum(server.process.cpu_seconds() for server in self.ensemble.servers)
        total["session_cpu"] = sum(process.cpu_seconds() for process in self.processes)
        total["bytes"] = sum(process.bytes_read() for process in self.readers)
        for process in self.processes:
            for name, value in process.counts().items():
                name = name if process in self.readers else f"nerve {name}"
                total[name] = total.get(name, 0) + value
        return total

    def settle(self):
        """Waits until few of the readers read nodes; looks to be safe go on for ever, about one in twenty seconds each."""
        def reads():
            return sum(process.counts()["read"] for process in self.readers)

        last = -self.sessions
        while (now := reads()) - last > self.sessions / 3:
            last = now
            time.sleep(0.2 if self.options.quick else 1.5)

    # Scenarios

    def play(self, name):
        getattr(self, "play_" + name.partition(",")[0])(name)

    def measure(self, name, change, duration=0.0, before=None):
        """Carries the change out and waits until each reader knows what is expected.

        `duration`: how long the change itself takes. `change` returns the counts before it, if they are not those of now.
        """
        before = before or self.snapshot()
        before.update(change() or {"at": time.monotonic()})
        expected = self.known + self.markers, sum(self.weights[:self.known]) + self.markers
        for process in self.readers:
            process.tell("expect", *expected)

        def all_know():
            for process in self.readers:
                process.read()
            told = [truth for process in self.readers for truth in process.truths.values()]
            # A task that goes and comes back makes it true for a moment before the end.
            return (time.monotonic() > before["at"] + duration and len(told) == self.sessions
                    and all(truth[:2] == expected for truth in told))

        wait_for(f"{name}: all readers know", all_know, PATIENCE + duration, pause=0.05, while_alive=self.processes)
        self.settle()
        all_know()
        late = [at - before["at"] - duration for process in self.readers for *_, at in process.truths.values()]
        self.record(name, before, self.snapshot(), late, duration)

    def record(self, name, before, after, late=(), duration=0.0):
        seconds = after["at"] - before["at"]
        cost = {key: after[key] - before.get(key, 0) - self.rest.get(key, 0) * seconds for key in after}
        cost.update(
            watches=after["watches"], duration=duration,
            write=sum(cost.get(f"nerve {verb}", 0) for verb in ("create", "delete", "set")),
            **{f"p{share}": percentile(late, share / 100) if late else 0 for share in (50, 99, 100)})
        self.costs[name] = cost
        fleet_model.row(name, *fleet_model.cells(cost))

    def play_start(self, name):
        self.measure(name, self.start_readers)

    def play_rest(self, name):
        before = self.snapshot()
        time.sleep(self.options.rest)
        after = self.snapshot()
        self.record(name, before, after)
        seconds = after["at"] - before["at"]
        self.rest = {key: (after[key] - before.get(key, 0)) / seconds for key in after
                     if key not in ("at", "watches")}

    def broadcast(self, *words):
        for process in self.processes:
            process.tell(*words)

    def play_deploy(self, name):
        """Each task of the first service is replaced, one after the other."""
        self.weights[:self.shape.tasks] = [2] * self.shape.tasks
        self.measure(name, lambda: self.broadcast("deploy", 2, self.options.seconds), self.options.seconds)

    def play_push(self, name):
        """All tasks of all hosts are registered with another weight, and all readers follow a service more."""
        self.weights, self.known = [3] * self.shape.all, self.shape.all
        seconds = fleet_model.PUSH_SECONDS * self.sessions
        self.measure(name, lambda: self.broadcast("push", 3, seconds), seconds)

    def play_flap(self, name):
        """The tasks of one host go and come back."""
        mine = self.weights[::self.sessions]
        self.weights[::self.sessions] = [4] * len(mine)
        seconds = (fleet_model.FLAPS - 0.5) * FLAP_SECONDS
        self.measure(name, lambda: self.broadcast("flap", 0, fleet_model.FLAPS, FLAP_SECONDS, 4), seconds)

    def play_restart(self, name):
        """All servers are killed and started again; a new registration tells which readers are back."""
        if name == WITHOUT_JITTER:
            for process in self.readers:
                process.kill()
                self.processes.remove(process)
            self.start_readers("at-once", spread=0)
            self.measure(f"start of readers for: {name}", lambda: None)

        def restart():
            self.ensemble.kill()
            self.ensemble.start()
            # Counted from nothing, but for what the servers themselves need to start.
            counts = {"packets": 0, "at": time.monotonic()}
            counts["server_cpu"] = sum(server.process.cpu_seconds() for server in self.ensemble.servers)
            self.mark()
            return counts

        self.measure(name, restart)

    def mark(self):
        data = json.dumps({"host": "10.8.0.1", "port": 9, "name": "marker", "weight": 1}).encode()
        self.client.create("/smartstack/global/service-0.main/marker_", data, ephemeral=True, sequence=True)
        self.markers += 1
