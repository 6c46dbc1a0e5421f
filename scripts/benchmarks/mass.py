"""The part of scripts/bench that measures what changes of thousands of registrations at one time cost synapse."""
import http.client
import json
import threading
import time

import world
from benchmarks.common import TARGET_PORT
from world import wait_for

STATUS_PORT, BIG, SMALL = 3214, 10_000, 2_500


def measure(bench):
    """20,000 servers; 10,000 of one service are deleted at once, come back, and all change their data."""
    bench.start_zookeeper()
    table = bench.table
    table.heading(f"synapse, {BIG + 4 * SMALL:,} servers, {BIG:,} of them in one service")
    table.row("", "until it is so", "CPU", "publications", "slowest status")
    sizes = {"mass.big": BIG, **{f"mass.s{i}": SMALL for i in range(4)}}
    paths = {name: register(bench, name, 1 + i, size) for i, (name, size) in enumerate(sizes.items())}
    haproxy = world.HAProxy(f"{bench.folder}/mass").start()
    bench.started.append(haproxy.process)
    services = {name: 22000 + i for i, name in enumerate(sizes)}
    defaults = ["mode http", "timeout connect 1s", "timeout client 1s", "timeout server 1s", "balance leastconn"]
    synapse = bench.start_synapse(haproxy, services, "mass", top={"status_port": STATUS_PORT}, defaults=defaults)
    stage = Stage(bench, haproxy, synapse)
    stage.wait(sizes)
    table.row("start", f"{time.monotonic() - stage.began:.2f} s", f"{synapse.cpu_seconds():.2f} s")
    stage.step("10,000 are deleted at once", lambda: delete(bench, paths["mass.big"]), {**sizes, "mass.big": 0})
    stage.step("10,000 come at once", lambda: paths.update(big=register(bench, "mass.big", 1, BIG)), sizes)
    stage.step("one comes", lambda: register(bench, "mass.big", 9, 1), {**sizes, "mass.big": BIG + 1})
    bench.stop_all()
    bench.client.delete("/smartstack", recursive=True)


class Stage:
    def __init__(self, bench, haproxy, synapse):
        self.bench, self.haproxy, self.synapse = bench, haproxy, synapse
        self.slowest, self.began = 0.0, time.monotonic()
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self):
        """Asks the agent without a pause for what costs it little to say."""
        while self.synapse.alive():
            began = time.monotonic()
            try:
                self.metrics()
                self.slowest = max(self.slowest, time.monotonic() - began)
            except OSError:
                pass
            time.sleep(0.005)

    @staticmethod
    def metrics():
        connection = http.client.HTTPConnection("127.0.0.1", STATUS_PORT, timeout=120)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def publications(self):
        found = [line for line in self.metrics().splitlines() if line.startswith("synapse_publications_total ")]
        return int(float(found[0].split()[1])) if found else 0

    def wait(self, sizes):
        def is_so():
            with open(self.haproxy.config) as file:
                live = sum("\tserver " in line and " disabled" not in line for line in file)
            if live != sum(sizes.values()):
                return False
            return all(len(self.haproxy.in_rotation(name)) == size for name, size in sizes.items())

        wait_for(f"HAProxy serves {sizes}", is_so, 300, pause=0.1, while_alive=[self.synapse])

    def step(self, what, change, sizes):
        self.slowest, began, cpu, count = 0.0, time.monotonic(), self.synapse.cpu_seconds(), self.publications()
        change()
        self.wait(sizes)
        took = time.monotonic() - began
        self.bench.table.row(what, f"{took:.2f} s", f"{self.synapse.cpu_seconds() - cpu:.2f} s",
                             self.publications() - count, f"{1000 * self.slowest:.0f} ms")


def register(bench, service, network, count):
    bench.client.ensure_path(f"/smartstack/global/{service}")
    pending = []
    for i in range(count):
        data = json.dumps({"host": f"127.{network}.{i // 250}.{1 + i % 250}", "port": TARGET_PORT, "name": f"h{i}",
                           "weight": 10, "labels": {"region:uswest1-prod": ""}}).encode()
        pending.append(bench.client.create_async(f"/smartstack/global/{service}/h{i}_", data, sequence=True))
    return [one.get() for one in pending]


def delete(bench, paths):
    transactions = []
    for start in range(0, len(paths), 1000):
        transaction = bench.client.transaction()
        for path in paths[start:start + 1000]:
            transaction.delete(path)
        transactions.append(transaction.commit_async())
    for one in transactions:
        one.get()
