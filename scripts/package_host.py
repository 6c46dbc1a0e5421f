"""The host that the package is tried on: what is done there, and what an observer sees of it."""
import json
import os
import sys
import time
import urllib.request

import world
from world import SteadyClient, Trouble, wait_for

HOST, NAME = "10.0.1.11", "west-1"
# service: (the task's port, the port on 169.254.255.254)
SERVICES = {"web": (31001, 20001), "api": (31002, 20002)}
AGENTS = ("nerve", "synapse")
UNITS = ("smartstack-yocalhost", "haproxy-synapse", *AGENTS)
WRITERS = ("configure-nerve", "configure-synapse")
BEGAN = time.monotonic()


def few_connections(machine):
    """An operator's edit of a conffile."""
    path = "/etc/synapse/synapse-tools.conf.json"
    machine.write(path, json.dumps({**json.loads(machine.read(path)), "maximum_connections": 2000}))


def tell(sentence):
    print(f"{time.monotonic() - BEGAN:7.1f} s  {sentence}", flush=True)


class Registry:
    """What an observer sees of the registrations, from the outside."""

    def __init__(self):
        self.client, self.changes = world.zookeeper_client(), []
        self.watched = set()

    def path(self, service):
        return f"/smartstack/global/{service}.main"

    def nodes(self, service):
        return sorted(self.client.get_children(self.path(service))) if self.client.exists(self.path(service)) else []

    def watch(self, service):
        """Notes each change of the service's registrations from now on."""
        from kazoo.recipe.watchers import ChildrenWatch
        before = self.nodes(service)

        def seen(children):
            if sorted(children) != before:
                self.changes.append((service, sorted(children)))
        ChildrenWatch(self.client, self.path(service), seen)


class PackagedHost:
    """A Debian machine with the package, in the same network as ZooKeeper, the tasks and the clients."""

    def __init__(self, base, packages):
        self.folder, self.base = world.scratch(), base
        self.packages = ["/" + os.path.basename(package) for package in packages]
        self.zookeeper = world.ZooKeeperServer(f"{self.folder}/zookeeper").start()
        self.machine = self.registry = self.before = None
        self.clients = []

    def add_service(self, service, task, proxy):
        write = self.machine.write
        write(f"/nail/etc/services/{service}/smartstack.yaml",
              f"main:\n  proxy_port: {proxy}\n  healthcheck_uri: /status\n  advertise: [region]\n")
        write(f"/nail/etc/services/{service}/port", f"{task}\n")
        write(f"/etc/nerve/puppet_services.d/{service}", '{"namespaces": ["main"]}\n')
        world.start_task(service, task, f"{self.folder}/task-{service}.log")

    def hacheck(self, path):
        try:
            return world.exchange((HOST, 6666), f"GET {path} HTTP/1.0\r\n\r\n")
        except OSError:
            return ""

    def alive(self):
        return [self.machine.process]

    def state(self, unit):
        return self.machine.ask("systemctl", "is-active", unit).strip()

    def until_active(self, unit):
        def active():
            state = self.state(unit)
            if state == "failed":
                raise Trouble(f"{unit} failed:\n" + self.machine.ask("journalctl", "--no-pager", "-n", "20", "-u", unit))
            return state == "active"
        wait_for(f"{unit} is active", active, while_alive=self.alive())

    def pid(self, unit):
        return int(self.machine.ask("systemctl", "show", "--value", "--property=MainPID", unit) or 0)

    def running_version(self, *words):
        try:
            return json.loads(self.machine.ask(words[0], "status", "--json", *words[1:]))["version"].split()[-1]
        except (ValueError, KeyError):
            return None

    def answer(self, port):
        try:
            with urllib.request.urlopen(f"http://{world.SYNAPSE_ADDRESS}:{port}/", timeout=5) as response:
                return response.read().decode().strip()
        except OSError:
            return None

    def start_observing(self):
        for service, (_, port) in SERVICES.items():
            self.registry.watch(service)
            self.clients.append(SteadyClient(port, self.folder))
        wait_for("the clients are at work", lambda: all(client.total() > 50 for client in self.clients))

    def stop_observing(self):
        for client in self.clients:
            client.process.kill()
        self.clients = []

    def nothing_lost(self, what):
        """Half a second of further requests, then: none failed, and nobody saw a registration go or come."""
        reached = [client.total() + 100 for client in self.clients]
        wait_for("the clients go on", lambda: all(c.total() > n for c, n in zip(self.clients, reached)))
        reports = [client.report() for client in self.clients]
        failures = [failure for report in reports for failure in report["failures"]]
        if failures or self.registry.changes:
            raise Trouble(f"{what}: {len(failures)} requests failed {failures[:5]}, registry: {self.registry.changes}")
        total = sum(sum(report["ok"].values()) for report in reports)
        tell(f"{what}: 0 of {total} requests failed, 0 changes in the registry")

    def show_logs(self):
        if self.machine and self.machine.process:
            units = [word for unit in (*UNITS, *WRITERS) for word in ("--unit", unit)]
            print(self.machine.ask("journalctl", "--no-pager", "-n", "60", *units), file=sys.stderr)
