"""Thousands of starts beside busy loops: each must complete, and one that does not is kept with the stacks of its threads."""
import contextlib
import os
import shutil
import subprocess
import sys
import time

import world
from benchmarks.common import LOCAL, MANY_PORTS
from benchmarks.synapse import FileWatch
from world import Trouble

NERVE_SERVICES, SYNAPSE_SERVICES, SERVERS = 300, 200, 2
# Seconds that a start may take; those after which it is given up.
LIMIT, PATIENCE = 10, 120
STACKS = ".build/stacks"


def measure(bench, count, busy):
    bench.start_zookeeper()
    bench.start_server(LOCAL, MANY_PORTS, ports=NERVE_SERVICES)
    for number in range(busy):
        bench.start(sys.executable, "-c", "while True: pass", name=f"busy-{number}")
    bench.table.heading(f"starts with an empty state, beside {busy} busy loops")
    bench.table.row("", "p50", "p99", "max", "starts")
    nerve = [one_nerve(bench) for _ in range(count)]
    bench.table.times(f"nerve, until {NERVE_SERVICES} services are registered", nerve)
    names = {f"start.s{number}": 22000 + number for number in range(SYNAPSE_SERVICES)}
    bench.register_many(names, SERVERS)
    synapse = [one_synapse(bench, names) for _ in range(count // 4)]
    bench.table.times(f"synapse, until {SYNAPSE_SERVICES} services are in HAProxy's file", synapse)
    late = sum(seconds > LIMIT for seconds in nerve + synapse)
    if late:
        raise Trouble(f"{late} of {len(nerve) + len(synapse)} starts took more than {LIMIT} s; their stacks are in {STACKS}")


def one_nerve(bench):
    """Seconds from a start to the last registration; services are checked through nerve's hacheck."""
    empty(bench, "start-nerve")
    remove_directories(bench)
    services = {f"s{i}": bench.nerve_service(f"start.s{i}", LOCAL, MANY_PORTS + i) for i in range(NERVE_SERVICES)}
    began = time.monotonic()
    nerve = bench.start_nerve(services, "start-nerve")

    def registered():
        with open(nerve.log_path, "rb") as file:
            return file.read().count(b"nerve: registered ")

    return completed(bench, nerve, began, registered, NERVE_SERVICES)


def one_synapse(bench, names):
    """Seconds from a start to a file with all servers; no HAProxy runs."""
    empty(bench, "start-synapse")
    empty(bench, "start-haproxy")
    haproxy = world.HAProxy(f"{bench.folder}/start-haproxy")
    began = time.monotonic()
    synapse = bench.start_synapse(haproxy, names, "start-synapse", do_reloads=False, do_socket=False)
    return completed(bench, synapse, began, FileWatch(haproxy.config).server_lines, SERVERS * SYNAPSE_SERVICES)


def completed(bench, process, began, done, wanted):
    """Waits for the end of the start and ends the process."""
    kept = None
    while (found := done()) < wanted:
        if not process.alive():
            raise Trouble(f"{process.name} ended with {process.status}\n{world.tail(process.log_path)}")
        if time.monotonic() > began + LIMIT and not kept:
            kept = stacks(process)
        if time.monotonic() > began + PATIENCE:
            raise Trouble(f"{process.name} is at {found} of {wanted} after {PATIENCE} s; {kept}")
        time.sleep(0.01)
    took = time.monotonic() - began
    process.send(15)
    if process.wait(30) is None:
        raise Trouble(f"{process.name} has not stopped within 30 s; {stacks(process)}")
    process.kill()
    bench.started.remove(process)
    return took


def stacks(process):
    """Keeps the stacks of all threads, and the log."""
    os.makedirs(STACKS, exist_ok=True)
    path = f"{STACKS}/{process.name}-{process.pid}"
    with open(path + ".txt", "w") as file:
        subprocess.run(["gdb", "-p", str(process.pid), "-batch", "-ex", "thread apply all backtrace"], stdout=file,
                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    shutil.copy(process.log_path, path + ".log")
    return f"all threads' stacks are in {path}.txt"


def empty(bench, name):
    shutil.rmtree(f"{bench.folder}/{name}", ignore_errors=True)


def remove_directories(bench):
    from kazoo.exceptions import NoNodeError
    with contextlib.suppress(NoNodeError):
        names = bench.client.get_children("/smartstack/global")
        transaction = bench.client.transaction()
        for name in names:
            transaction.delete(f"/smartstack/global/{name}")
        transaction.commit()
