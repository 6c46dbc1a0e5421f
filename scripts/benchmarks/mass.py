"""The part of scripts/bench that measures what changes of thousands of registrations at one time cost synapse."""
import http.client
import json
import sys
import time

import world
from benchmarks.common import TARGET_PORT
from world import wait_for

STATUS_PORT, BIG, SMALL = 3214, 10_000, 2_500
QUESTIONS_A_SECOND = 20
# A process of its own: the interpreter that registers thousands of nodes would delay its own thread's questions.
ASKER = f"""
import http.client, time
while True:
    began = time.monotonic()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", {STATUS_PORT}, timeout=120)
        connection.request("GET", "/metrics")
        connection.getresponse().read()
        print(began, time.monotonic() - began, flush=True)
    except OSError:
        pass
    time.sleep(max(0, began + 1 / {QUESTIONS_A_SECOND} - time.monotonic()))
"""


def measure(bench):
    """20,000 servers; 10,000 of one service are deleted at once, come back, and all change their data."""
    bench.start_zookeeper()
    table = bench.table
    table.heading(f"synapse, {BIG + 4 * SMALL:,} servers, {BIG:,} of them in one service")
    table.row(f"a process of its own asks for /metrics {QUESTIONS_A_SECOND} times a second", "until it is so", "CPU",
              "publications", "slowest status")
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
        self.began, self.asker = time.monotonic(), bench.start(sys.executable, "-c", ASKER, name="asker")

    def slowest_since(self, began):
        """The longest time that an answer to a question since `began` took, in seconds."""
        lines = self.asker.output().splitlines(keepends=True)
        times = [tuple(map(float, line.split())) for line in lines if line.endswith("\n")]
        return max((took for asked, took in times if asked + took > began), default=0)

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
        began, cpu, count = time.monotonic(), self.synapse.cpu_seconds(), self.publications()
        change()
        self.wait(sizes)
        took = time.monotonic() - began
        self.bench.table.row(what, f"{took:.2f} s", f"{self.synapse.cpu_seconds() - cpu:.2f} s",
                             self.publications() - count, f"{1000 * self.slowest_since(began):.0f} ms")


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
