"""The parts of scripts/bench that measure synapse: what many services cost, and what a steady client notices."""
import json
import os
import re
import signal
import subprocess
import threading
import time

import world
from world import Trouble, wait_for

WRK_PAUSE_MS, BUSY_LOOPS = 4, 8


def scale(bench, services, servers, in_names=False):
    """From the start to the whole file, then what nothing and single changes cost."""
    bench.start_zookeeper()
    table, prefix = bench.table, f"wide{services}{'n' if in_names else ''}"
    where = ", registered in the nodes' names" if in_names else ""
    table.heading(f"synapse, {services:,} services x {servers} servers{where}, over {bench.seconds} s")
    table.row("", "full file", "CPU", "RSS", "threads")
    names = {f"{prefix}.s{i}": 22000 + i for i in range(services)}
    bench.register_many(names, servers, in_names)
    haproxy, synapse = start(bench, prefix, names, servers, "cold")
    changes(bench, haproxy, synapse, prefix, services)
    ensemble(bench, haproxy, synapse, prefix, services)
    stop(synapse, haproxy.process)
    # What a host does that was switched off: HAProxy knows nothing, the state file everything.
    start(bench, prefix, names, servers, "with the state file")
    bench.stop_all()
    bench.client.delete("/smartstack", recursive=True)


def start(bench, prefix, names, servers, what):
    """Starts a HAProxy without servers and synapse beside it; from there to the whole file, and to HAProxy serving it."""
    haproxy = world.HAProxy(f"{bench.folder}/{prefix}").start()
    bench.started.append(haproxy.process)
    began = time.monotonic()
    synapse = bench.start_synapse(haproxy, names, f"synapse-{prefix}")
    full = FileWatch(haproxy.config)
    wait_for(f"{len(names) * servers:,} servers in the file", lambda: full.server_lines() >= len(names) * servers, 180,
             pause=0.01, while_alive=[synapse])
    complete, last = full.changed_after(began), list(names)[-1]
    wait_for("HAProxy serves the last service", lambda: haproxy.in_rotation(last), 120, while_alive=[synapse])
    serving = time.monotonic() - began
    start_cpu = synapse.cpu_seconds()
    table = bench.table
    table.row(f"start, {what}, then idle", f"{complete:.2f} s", *bench.cost(synapse))
    table.row("  to HAProxy serving all of it", f"{serving:.2f} s")
    table.row("  synapse's own CPU until then, and its memory at most", f"{start_cpu:.2f} s", "",
              f"{synapse.status_field('VmHWM') / 1024:.1f} MB")
    return haproxy, synapse


def stop(*processes):
    for process in processes:
        process.send(15)
        if process.wait(30) is None:
            process.kill()


def ensemble(bench, haproxy, synapse, prefix, services, count=20):
    """The ensemble is started again and changed while synapse stands still: from its connection until all of it is true."""
    watches = re.search(r"Total watches:(\d+)", bench.zookeeper.ask("wchs"))
    bench.table.row("watches at the server", watches.group(1) if watches else "?")
    session, chosen = haproxy.session(), [f"{prefix}.s{i * services // count}" for i in range(count)]
    synapse.send(signal.SIGSTOP)
    bench.zookeeper.stop()
    bench.zookeeper.start()
    gone, added = [], []
    for i, service in enumerate(chosen):
        path = f"/smartstack/global/{service}"
        name = bench.client.get_children(path)[0]
        data = json.loads(bench.client.get(f"{path}/{name}")[0])
        bench.client.delete(f"{path}/{name}")
        gone.append((service, f"{data['name']}_{data['host']}:{data['port']}"))
        bench.register(service, f"127.0.4.{101 + i}", "late")
        added.append((service, f"late_127.0.4.{101 + i}:8080"))
    since = synapse.output().count("connected ensemble=")
    synapse.send(signal.SIGCONT)
    wait_for("synapse is connected again", lambda: synapse.output().count("connected ensemble=") > since, 60, pause=0.001)
    began = time.monotonic()
    for service, name in added:
        wait_for(f"{name} is served", lambda: name in session.in_rotation(service), 60, pause=0.0005)
    for service, name in gone:
        wait_for(f"{name} is out", lambda: name not in session.in_rotation(service), 60, pause=0.0005)
    bench.table.row(f"ensemble started again, {2 * count} changes: connection to all true", f"{time.monotonic() - began:.2f} s")
    session.close()


def changes(bench, haproxy, synapse, prefix, services):
    """One new server at a time, with time in between for the file to follow."""
    session, delays, count = haproxy.session(), [], 20
    cpu = synapse.cpu_seconds()
    for i in range(count):
        service, host = f"{prefix}.s{i * services // count}", f"127.0.4.{1 + i}"
        began = time.monotonic()
        bench.register(service, host)
        wait_for("the new server is in HAProxy",
                 lambda: f"new_{host}:8080" in session.in_rotation(service), pause=0.0002)
        delays.append(time.monotonic() - began)
    bench.table.row("", "p50", "p99", "max", "changes")
    bench.table.times("znode created to server in HAProxy, at this size", delays)
    time.sleep(12)
    bench.table.row("CPU of one such change, the file included",
                    f"{1000 * (synapse.cpu_seconds() - cpu) / count:.1f} ms")


class FileWatch:
    """Reads a file only when it is another one than before."""

    def __init__(self, path):
        self.path, self.seen, self.lines = path, None, 0

    def server_lines(self):
        try:
            status = os.stat(self.path)
            if self.seen is None or status.st_mtime_ns != self.seen.st_mtime_ns or status.st_ino != self.seen.st_ino:
                self.seen = status
                with open(self.path, "rb") as file:
                    self.lines = file.read().count(b"\tserver ")
        except OSError:
            pass
        return self.lines

    def changed_after(self, began):
        """When it became what it is: the candidate is renamed, which sets the time of its status."""
        return time.monotonic() - began - (time.time() - self.seen.st_ctime)


# --- a steady client --------------------------------------------------------------------------------------------

def load(bench, rate=20, pool=200, port=21500):
    """Requests at a constant rate while servers come and go, and weights change."""
    bench.start_zookeeper()
    table, service = bench.table, "load.main"
    table.heading(f"{pool} servers that come and go, {rate} of each per second, and a weight per second, "
                  f"over {bench.seconds} s")
    table.row("", "requests/s", "p50", "p99", "failed")
    bench.start_server("0.0.0.0", 8080)
    haproxy = world.HAProxy(f"{bench.folder}/load").start()
    bench.started.append(haproxy.process)
    synapse = bench.start_synapse(haproxy, {service: port}, "synapse-load", use_nerve_weights=True)
    steady = [bench.register(service, f"127.0.6.{1 + i}", "steady") for i in range(4)]
    wait_for("HAProxy serves it", lambda: len(haproxy.in_rotation(service)) == 4, while_alive=[synapse])
    reloads, cpu = haproxy.reloads(), synapse.cpu_seconds()
    clients = [client(bench, port, is_new) for is_new in (False, True)]
    lag = FileLag(haproxy, service)
    begun, done = time.monotonic(), come_and_go(bench, service, steady, rate, pool)
    used = (synapse.cpu_seconds() - cpu) / (time.monotonic() - begun)
    failed = 0
    for what, one in zip(("keep-alive, 8 connections", "a new connection for each request, 8"), clients):
        rate, p50, p99, lost = outcome(one)
        table.row(what, f"{rate:,.0f}", p50, p99, lost)
        failed += lost
    table.row("servers added and removed, weights changed, of synapse's CPU", done[0], done[1], f"{100 * used:.1f} %")
    table.row("requests that failed, reloads of HAProxy", failed, haproxy.reloads() - reloads)
    table.row("", "p50", "p99", "max", "servers")
    table.times("a server in HAProxy to the same server in its file", lag.stop())
    for i in range(BUSY_LOOPS):
        bench.start("/bin/sh", "-c", "while :; do :; done", name=f"busy{i}")
    lag = FileLag(haproxy, service)
    come_and_go(bench, service, steady, rate, pool)
    table.times(f"the same beside {BUSY_LOOPS} busy loops", lag.stop())
    bench.stop_all()
    bench.client.delete("/smartstack", recursive=True)


class FileLag:
    """Notes when each new server is first seen in HAProxy and in its file."""

    def __init__(self, haproxy, service):
        self.session, self.path, self.service = haproxy.session(), haproxy.config, service
        self.in_socket, self.in_file, self.seen, self.is_over = {}, {}, None, False
        self.known = set(self.session.in_rotation(service))
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.is_over:
            for name in self.session.in_rotation(self.service):
                self.in_socket.setdefault(name, time.time())
            status = os.stat(self.path)
            if (status.st_ino, status.st_ctime_ns) != self.seen:
                self.seen = (status.st_ino, status.st_ctime_ns)
                with open(self.path, encoding="utf-8") as file:
                    for line in file:
                        if line.startswith("\tserver ") and " disabled" not in line:
                            self.in_file.setdefault(line.split()[1], status.st_ctime)
            time.sleep(0.005)

    def stop(self):
        """The seconds from the one to the other, of each server that came to both."""
        time.sleep(2)
        self.is_over = True
        self.thread.join()
        self.session.close()
        new = [name for name in self.in_socket if name not in self.known and name in self.in_file]
        return [max(0.0, self.in_file[name] - self.in_socket[name]) for name in new]


def come_and_go(bench, service, steady, rate, pool):
    """One comes and one goes at each step, half of the pool is there at any time."""
    there, came, weights = [], 0, 0
    begun = time.monotonic()
    while (now := time.monotonic()) < begun + bench.seconds:
        number = came % pool
        there.append(bench.register(service, f"127.0.7.{1 + number}", f"guest{number}"))
        if len(there) > pool // 2:
            bench.client.delete(there.pop(0))
        came += 1
        if now - begun > weights + 1:
            weights += 1
            path = steady[weights % len(steady)]
            bench.client.set(path, bench.payload(f"127.0.6.{1 + weights % len(steady)}", "steady",
                                                 weight=5 + weights % 10))
        time.sleep(max(0.0, begun + came / rate - time.monotonic()))
    for path in there:
        bench.client.delete(path)
    return came, weights


def client(bench, port, is_new):
    """wrk for a little longer than the changes last; each connection pauses between its requests."""
    script = f"{bench.folder}/pause.lua"
    with open(script, "w") as file:
        file.write(f"function delay() return {WRK_PAUSE_MS} end\n")
    headers = ["-H", "Connection: close"] if is_new else []
    return subprocess.Popen(
        ["wrk", "-t1", "-c8", f"-d{bench.seconds + 1}s", "--latency", "-s", script, *headers,
         f"http://{world.SYNAPSE_ADDRESS}:{port}/"], stdout=subprocess.PIPE, text=True)


def outcome(process):
    """(requests/s, p50, p99, failed) of a wrk."""
    text, _ = process.communicate(timeout=60)
    found = {key: re.search(pattern, text) for key, pattern in (
        ("rate", r"Requests/sec:\s+([\d.]+)"), ("p50", r"50%\s+(\S+)"), ("p99", r"99%\s+(\S+)"))}
    if not all(found.values()):
        raise Trouble(f"wrk said:\n{text}")
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = sum(map(int, errors.groups())) if errors else 0
    return (float(found["rate"].group(1)), found["p50"].group(1), found["p99"].group(1),
            failed + (int(wrong.group(1)) if wrong else 0))
