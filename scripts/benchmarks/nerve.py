"""What many services cost nerve, and how late it notices that one fails."""
import json
import os
import socket
import threading
import time
import urllib.request

import world
from benchmarks.common import HACHECK_PORT, LOCAL, MANY_PORTS, write_json
from world import Trouble, wait_for


def measure(bench):
    """What 500 services cost nerve."""
    bench.start_zookeeper()
    bench.start_server(LOCAL, MANY_PORTS, ports=500)
    bench.table.heading(f"nerve, 500 services checked every 2 s, over {bench.seconds} s")
    bench.table.row("", "registered", "CPU", "RSS", "threads")
    for what, through_hacheck, is_reused in (
            ("each check asks the service", False, False), ("the same by reuse_connection", False, True),
            ("each check asks hacheck, which asks the service", True, False), ("the same by reuse_connection", True, True)):
        services = {f"s{i}": bench.nerve_service(f"many.s{i}", LOCAL, MANY_PORTS + i, through_hacheck)
                    for i in range(500)}
        for service in services.values():
            service["checks"][0]["reuse_connection"] = is_reused
        before = set(bench.zookeeper.ephemerals())
        began = time.monotonic()
        nerve = bench.start_nerve(services, f"nerve-{through_hacheck}-{is_reused}", reuse_connection=is_reused)
        wait_for("500 registrations", lambda: len(set(bench.zookeeper.ephemerals()) - before) >= 500, 120,
                 while_alive=[nerve])
        registered = time.monotonic() - began
        bench.table.row(what, f"{registered:.2f} s", *bench.cost(nerve))
        bench.table.row("  per check", "", f"{1000 * bench.last_share / 250:.3f} ms")
        before = packets(bench)
        time.sleep(10)
        sent = packets(bench) - before
        # The four-letter questions are packets of their own, one each.
        bench.table.row("  packets to ZooKeeper in 10 s, pings included", "", f"{sent - 1:.0f}")
        nerve.send(15)
        nerve.wait(15)
    nerve_at_its_limit(bench)
    nerve_reloads(bench)
    nerve_failures(bench)
    bench.stop_all()


def measure_page(bench, count=800, requests=40):
    """How long the page of many services takes, beside a bare server that sends the same bytes."""
    registry = f"{bench.folder}/registry-of-the-page"
    services = {f"page{i}.main": {"host": LOCAL, "port": MANY_PORTS + i, "reporter_type": "file", "file_path": registry,
                                  "checks": [{"type": "noop"}]} for i in range(count)}
    nerve = bench.start_nerve(services, "nerve-page")
    wait_for(f"{count} registrations", lambda: os.path.isdir(registry) and len(os.listdir(registry)) == count, 60,
             while_alive=[nerve])
    text = read_page(HACHECK_PORT)
    missing = [name for name in services if f"<bdi>{name}</bdi>" not in text]
    if missing:
        raise Trouble(f"the page of {len(text)} characters lacks {len(missing)} services: {missing[:3]}")
    with socket.create_server((LOCAL, 0)) as bare:
        threading.Thread(target=send_to_everybody, args=(bare, text), daemon=True).start()
        seconds, cpu = [[], []], nerve.cpu_seconds()
        for _ in range(requests):
            for port, taken in zip((HACHECK_PORT, bare.getsockname()[1]), seconds):
                began = time.monotonic()
                read_page(port)
                taken.append(time.monotonic() - began)
    bench.table.heading(f"nerve's page of {count} services, {len(text) // 1024} KiB")
    bench.table.row("", "p50", "p99", "max", "requests")
    bench.table.times("the page, made and read", *seconds)
    bench.table.row("  nerve's CPU for it", f"{1000 * (nerve.cpu_seconds() - cpu) / requests:.0f} ms")
    nerve.send(15)
    nerve.wait(15)


def read_page(port):
    request = urllib.request.Request(f"http://{LOCAL}:{port}/", headers={"Accept": "text/html"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def send_to_everybody(server, page):
    body = page.encode()
    answer = f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    while True:
        try:
            with server.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(answer)
        except OSError:
            return


def packets(bench):
    return int(dict(line.split("\t") for line in bench.zookeeper.ask("mntr").splitlines() if "\t" in line)
               ["zk_packets_received"])


def nerve_at_its_limit(bench):
    """What 10,000 services on one host cost."""
    count = 10_000
    services = {f"s{i}": {**bench.nerve_service(f"many.s{i}", LOCAL, MANY_PORTS + i % 500, False),
                          "check_interval": 10.0} for i in range(count)}
    began = time.monotonic()
    nerve = bench.start_nerve(services, "nerve-10000")
    wait_for(f"{count} registrations", lambda: len(bench.zookeeper.ephemerals()) >= count, 120, while_alive=[nerve])
    registered = time.monotonic() - began
    bench.table.heading(f"nerve, {count} services checked every 10 s, over {bench.seconds} s")
    bench.table.row("", "registered", "CPU", "RSS", "threads")
    bench.table.row("each check asks the service", f"{registered:.2f} s", *bench.cost(nerve))
    late = share_below(metrics(), "nerve_check_lateness_seconds", 0.05)
    bench.table.row("  checks that begin at most 50 ms late", f"{100 * late:.2f} %")
    nerve.send(15)
    nerve.wait(15)


def nerve_reloads(bench, count=3000, reloads=10):
    """What SIGHUP costs where nothing has changed, and where one of many services has."""
    services = {f"s{i}": {**bench.nerve_service(f"many.s{i}", LOCAL, MANY_PORTS + i % 500, False),
                          "check_interval": 3600.0} for i in range(count)}
    nerve = bench.start_nerve(services, "nerve-reloads")
    wait_for(f"{count} registrations", lambda: len(bench.zookeeper.ephemerals()) >= count, 120, while_alive=[nerve])
    bench.table.heading(f"nerve, {count} services, SIGHUP")
    path = f"{bench.folder}/nerve-reloads/nerve.conf.json"
    for what, has_change in (("CPU of a reload that changes nothing", False), ("CPU of one that changes a weight", True)):
        cpu = nerve.cpu_seconds()
        for i in range(reloads):
            if has_change:
                with open(path) as file:
                    configuration = json.load(file)
                configuration["services"]["s0"]["weight"] = 20 + i
                write_json(path, configuration)
            done = int(metrics()["nerve_reloads_total"])
            nerve.send(1)
            # Each question costs, too.
            wait_for("a reload", lambda: int(metrics()["nerve_reloads_total"]) > done, 30, pause=0.3, while_alive=[nerve])
        bench.table.row(what, f"{1000 * (nerve.cpu_seconds() - cpu) / reloads:.0f} ms")
    nerve.send(15)
    nerve.wait(15)


def metrics():
    text = world.exchange((LOCAL, HACHECK_PORT), "GET /metrics HTTP/1.0\r\n\r\n")
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")
                and line.count(" ") == 1)


def share_below(metrics, name, limit):
    bounds = sorted(float(key.split('le="')[1].split('"')[0]) for key in metrics
                    if key.startswith(name + "_bucket") and "+Inf" not in key)
    bound = max(b for b in bounds if b <= limit)
    inside = next(float(value) for key, value in metrics.items()
                  if key.startswith(name + "_bucket") and f'le="{bound:g}"' in key)
    return inside / float(metrics[name + "_count"])


def nerve_failures(bench):
    """From the moment a service begins to fail to its znode's end, beyond what rise and fall ask for."""
    interval, fall, count = 0.5, 2, 40
    server = world.StatusServer(LOCAL, count)
    services = {f"f{i}": {**bench.nerve_service(f"fail.f{i}", LOCAL, port, False), "check_interval": interval}
                for i, port in enumerate(server.ports)}
    nerve = bench.start_nerve(services, "nerve-failing")
    wait_for("registered", lambda: len([p for p in bench.zookeeper.ephemerals() if "/fail." in p]) >= count, 60,
             while_alive=[nerve])
    beyond = []
    for i, port in enumerate(server.ports):
        gone = watch_gone(bench, f"fail.f{i}")
        began = server.fail(port)
        beyond.append(max(0.0, gone() - began - interval * fall))
    bench.table.heading(f"nerve, a service fails (checked every {interval} s, fall {fall})")
    bench.table.row("", "p50", "p99", "max", "changes")
    bench.table.times("znode gone, beyond interval x fall", beyond)
    nerve.send(15)
    nerve.wait(15)
    server.close()


def watch_gone(bench, service):
    """Watches a service's directory; the result waits for it to be empty and says when it was."""
    event, moment = threading.Event(), []

    def look(_=None):
        if not bench.client.get_children(f"/smartstack/global/{service}", watch=look):
            moment.append(time.monotonic())
            event.set()

    look()

    def wait():
        if not event.wait(30):
            raise Trouble(f"{service} stays registered")
        return moment[0]

    return wait
