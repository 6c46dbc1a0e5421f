"""How long changes take from their cause to HAProxy."""
import os
import subprocess
import threading
import time

import world
from benchmarks.common import LOCAL, TARGET_PORT, percentile, spool, status_at, wait_until
from world import wait_for


def measure(bench):
    """How long changes take from their cause to HAProxy."""
    bench.start_zookeeper()
    bench.table.heading("Delays")
    bench.table.row("", "p50", "p99", "max", "changes")
    bare = bare_zookeeper(bench)
    bench.start_server("0.0.0.0", TARGET_PORT)
    haproxy = world.HAProxy(bench.folder).start()
    bench.started.append(haproxy.process)
    services = {f"bench.s{i}": 21000 + i for i in range(10)}
    bench.start_nerve({"drained": bench.nerve_service("bench.s0", LOCAL, TARGET_PORT)}, "nerve-delays")
    bench.start_synapse(haproxy, services, "synapse-delays")
    wait_for("HAProxy serves bench.s0", lambda: haproxy.in_rotation("bench.s0"), while_alive=bench.started)
    # The other services have no server yet: HAProxy answers 503 for them.
    wait_for("HAProxy has all frontends", lambda: all(map(status_at, services.values())), while_alive=bench.started)
    reloads = haproxy.reloads()
    drains(bench, haproxy, "bench.s0", world.zookeeper_client())
    additions(bench, haproxy, list(services.items())[1:], bare)
    bench.table.row("reloads of HAProxy meanwhile", haproxy.reloads() - reloads)
    bench.table.row("a server added at run time is counted up at once; one failing check takes it down again")
    bench.stop_all()
    bench.client.delete("/bench", recursive=True)


def bare_zookeeper(bench):
    observer = world.zookeeper_client()
    bench.client.ensure_path("/bare")
    seen, taken = threading.Event(), []

    def changed(_):
        taken.append(time.monotonic())
        seen.set()

    delays = []
    for i in range(bench.changes):
        observer.get_children("/bare", watch=changed)
        began = time.monotonic()
        bench.client.create(f"/bare/{i}", b"{}", ephemeral=True)
        seen.wait(10)
        seen.clear()
        delays.append(taken[-1] - began)
    bench.table.times("bare ZooKeeper: create to a watcher's event", delays)
    observer.stop()
    return delays


def measure_tls(bench):
    """Drains with agents that speak to ZooKeeper in plain text, and by TLS."""
    folder, host = f"{bench.folder}/tls", "127.0.0.2"
    os.makedirs(folder)
    key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                    "2", "-subj", "/CN=zookeeper", "-addext", f"subjectAltName=IP:{host}", "-keyout", key, "-out",
                    certificate], check=True, capture_output=True)
    with open(certificate) as file, open(key) as second, open(f"{folder}/both.pem", "w") as both:
        both.write(file.read() + second.read())
    bench.start_zookeeper()
    server = world.ZooKeeperServer(f"{folder}/zookeeper", bind=host, certificate=f"{folder}/both.pem")
    server.launch()
    bench.started.append(server.process)
    observers = [world.zookeeper_client(),
                 world.zookeeper_client(hosts=f"{host}:2281", use_ssl=True, ca=certificate)]
    bench.start_server("0.0.0.0", TARGET_PORT)
    bench.table.heading("Drains by agents without and with TLS to ZooKeeper")
    bench.table.row("", "p50", "p99", "max", "changes")
    outs = []
    for what, place, top, observer in (
            ("plain", world.ZooKeeperServer.address, {}, observers[0]),
            ("tls", f"{host}:2281", {"zk_tls": {"ca": certificate}}, observers[1])):
        haproxy = world.HAProxy(f"{folder}/{what}").start()
        service = {**bench.nerve_service("tls.main", LOCAL, TARGET_PORT), "zk_hosts": [place]}
        agents = [bench.start_nerve({"drained": service}, f"nerve {what}", top),
                  bench.start_synapse(haproxy, {"tls.main": 21000}, f"synapse {what}", top, place)]
        wait_for("HAProxy serves tls.main", lambda: haproxy.in_rotation("tls.main"), while_alive=agents)
        bench.table.row(what)
        outs.append(drains(bench, haproxy, "tls.main", observer))
        for process in [*agents, haproxy.process]:
            process.send(15)
            if process.wait(15) is None:
                process.kill()
    plain, by_tls = (percentile(out, 0.5) for out in outs)
    bench.table.row("a drain by TLS, of one in plain text, p50", f"{by_tls / plain:.2f} x")
    bench.stop_all()


def drains(bench, haproxy, service, observer):
    """POST /spool until the znode is removed for an independent watcher, and until HAProxy stops sending requests."""
    session, path = haproxy.session(), f"/smartstack/global/{service}"
    gone, out, back = [], [], []
    event, moment = threading.Event(), []

    def changed(_):
        moment.append(time.monotonic())
        event.set()

    for _ in range(bench.changes):
        observer.get_children(path, watch=changed)
        began = time.monotonic()
        spool(service, TARGET_PORT, status="down", reason="bench")
        out.append(wait_until(lambda: not session.in_rotation(service)) - began)
        event.wait(10)
        event.clear()
        gone.append(moment[-1] - began)
        began = time.monotonic()
        spool(service, TARGET_PORT, status="up")
        back.append(wait_until(lambda: session.in_rotation(service)) - began)
    observer.stop()
    bench.table.times("drain: POST /spool to znode removed, for a watcher", gone)
    bench.table.times("drain: POST /spool to out of HAProxy", out)
    bench.table.times("downtime ended: POST /spool to back in HAProxy", back)
    return out


def additions(bench, haproxy, services, bare):
    """A znode of a server never seen before, until a client's request is answered by it; and its end."""
    session = haproxy.session()
    added, left = [], []
    for i in range(bench.changes):
        service, port = services[i % len(services)]
        began = time.monotonic()
        path = bench.register(service, f"127.0.3.{1 + i}")
        added.append(wait_until(lambda: status_at(port) == "200") - began)
        began = time.monotonic()
        bench.client.delete(path)
        left.append(wait_until(lambda: not session.in_rotation(service)) - began)
    bench.table.times("znode created to first request answered by the server", added, bare)
    bench.table.times("znode deleted to server out of HAProxy", left, bare)
