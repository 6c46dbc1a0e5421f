"""The parts of scripts/bench that ask hacheck for more than a cached answer. Each takes the running Bench."""
import http.client
import multiprocessing
import os
import resource
import select
import selectors
import socket
import subprocess
import threading
import time

from world import Trouble, wait_for

LOCAL = "127.0.0.1"
HUNG = 1000


def connections_anew(bench, wrk, bare, url):
    """Cached answers of hacheck beside the bare server's, with a new connection for each request."""
    bench.table.row("a new connection for each request")
    for connections in (16, 64):
        rounds = [(wrk(bare, connections, is_new=True), wrk(url, connections, is_new=True)) for _ in range(3)]
        middle = [sorted(results)[1] for results in zip(*rounds)]
        for what, (rate, p50, p99) in zip(("bare libevent server", "hacheck /http, cached"), middle):
            bench.table.row(f"{what}, {connections} connections", f"{rate:,.0f}", p50, p99,
                            f"{100 * rate / middle[0][0]:.0f} %")


def allow_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class HungServices:
    """Ports that accept, in the kernel, and never answer; and for each a client that sends a request on command."""

    def __init__(self, hacheck_port, count=HUNG):
        allow_descriptors()
        self.hacheck_port, self.answers = hacheck_port, 0
        self.listeners = [socket.create_server((LOCAL, 0), backlog=512) for _ in range(count)]
        self.selector = selectors.DefaultSelector()
        self.going = True
        for number, listener in enumerate(self.listeners):
            self.ask(number, listener.getsockname()[1], socket.create_connection((LOCAL, hacheck_port)))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def ask(self, number, port, asker):
        text = f"GET /http/hung.s{number}/{port}/status HTTP/1.1\r\nHost: {LOCAL}\r\n\r\n"
        self.selector.register(asker, selectors.EVENT_READ, text.encode())
        asker.sendall(text.encode())

    def run(self):
        while self.going:
            for key, _ in self.selector.select(0.2):
                if not key.fileobj.recv(65536):
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()
                    continue
                self.answers += 1
                key.fileobj.sendall(key.data)

    def stop(self):
        self.going = False
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        for listener in self.listeners:
            listener.close()


def live_checks(port, target_port, count=2000):
    """Seconds that live checks of a healthy service took, one after the other."""
    connection = http.client.HTTPConnection(LOCAL, port, timeout=30)
    seconds = []
    for _ in range(count):
        began = time.monotonic()
        connection.request("GET", f"/http/web.main/{target_port}/status", headers={"Pragma": "no-cache"})
        answer = connection.getresponse()
        answer.read()
        seconds.append(time.monotonic() - began)
        if answer.status != 200:
            raise Trouble(f"a healthy service was said to be down: {answer.status}")
    connection.close()
    return seconds


def page(port, path):
    connection = http.client.HTTPConnection(LOCAL, port, timeout=30)
    began = time.monotonic()
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body.decode(), time.monotonic() - began


def gauge(port, name):
    for line in page(port, "/metrics")[0].splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise Trouble(f"hacheck has no metric {name}")


def stuck(bench, hacheck_port, target_port):
    """How long a live check of a healthy service takes while a thousand hung ones are checked."""
    bench.table.heading("hacheck, live checks of one healthy service (Pragma: no-cache)")
    bench.table.row("", "p50", "p99", "max", "checks")
    bench.start_server(LOCAL, target_port)
    bench.start_nerve({}, "nerve-stuck")
    bench.table.times("no other checks", live_checks(hacheck_port, target_port))
    hung = HungServices(hacheck_port)
    wait_for("all hung checks are under way", lambda: gauge(hacheck_port, "hacheck_checks_in_flight") >= HUNG)
    bench.table.times(f"{HUNG} hung services are checked", live_checks(hacheck_port, target_port))
    # Ten seconds after they began, a thousand checks end and begin again within moments.
    answered = hung.answers
    seconds = []
    while hung.answers - answered < 2 * HUNG:
        seconds += live_checks(hacheck_port, target_port, 200)
    bench.table.times("the same, while their deadlines pass twice", seconds)
    bench.table.row("checks that found no slot", f"{gauge(hacheck_port, 'hacheck_checks_refused_total'):.0f}")
    hung.stop()


ATTACKER, ATTACKERS = "127.0.0.2", 500
ATTACKS = (
    (f"{ATTACKERS} ask /status/count and do not read", ATTACKERS, "GET /status/count HTTP/1.1\r\nHost: x\r\n\r\n"),
    (f"{ATTACKERS} ask /recent and do not read", ATTACKERS, "GET /recent?threshold=1e9 HTTP/1.1\r\nHost: x\r\n\r\n"),
    (f"{ATTACKERS} ask /metrics 200 times and do not read", ATTACKERS, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 200),
    ("4,200 do not finish their request", 4200, "GET /x HTTP/1.1\r\nHost: x\r\n"),
)


def attack(port, count, text):
    """Keeps so many connections that have said this, and opens another for each that ends."""
    allow_descriptors()
    poll, opened = select.epoll(), {}
    while True:
        while len(opened) < count:
            try:
                client = socket.socket()
                client.settimeout(0.2)
                # Little room in the kernel: what is not read stays with the server.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.bind((ATTACKER, 0))
                client.connect((LOCAL, port))
                client.send(text.encode())
            except OSError:
                client.close()
                break
            # Its end, and not what there is to read.
            poll.register(client, select.EPOLLRDHUP)
            opened[client.fileno()] = client
        for descriptor, _ in poll.poll(0.05):
            poll.unregister(descriptor)
            opened.pop(descriptor).close()


def hostile(bench, hacheck_port):
    """What others wait, and what memory it costs, while clients of one address do their worst."""
    allow_descriptors()
    bench.table.heading("hacheck, /healthz asked for with a new connection each, beside hostile clients of another address")
    bench.table.row("", "p50", "p99", "max", "requests", "RSS above rest")
    nerve = bench.start_nerve({}, "nerve-hostile")
    connection = http.client.HTTPConnection(LOCAL, hacheck_port, timeout=30)
    for number in range(10_000):
        connection.request("GET", f"/spool/{number:0240}/1/status")
        connection.getresponse().read()
    connection.close()
    rest = nerve.status_field("VmRSS")

    def measure(what, attacker=None):
        seconds, most = [], 0
        for number in range(2000):
            if attacker and not attacker.is_alive():
                raise Trouble("the attacker has ended")
            seconds.append(page(hacheck_port, "/healthz")[1])
            if number % 20 == 0:
                most = max(most, nerve.status_field("VmRSS"))
        cells = [f"{1000 * sorted(seconds)[int(len(seconds) * share)]:.2f} ms" for share in (0.5, 0.99)]
        bench.table.row(what, *cells, f"{1000 * max(seconds):.2f} ms", len(seconds), f"{(most - rest) / 1024:.1f} MB")

    measure("none")
    for what, count, text in ATTACKS:
        attacker = multiprocessing.Process(target=attack, args=(hacheck_port, count, text), daemon=True)
        attacker.start()
        time.sleep(3)
        measure(what, attacker)
        attacker.kill()
        attacker.join()


# Each run of wrk counts on from where the last one stopped; hacheck's own counter says where that is.
LUA = """
local i = tonumber(os.getenv("BENCH_FIRST"))
request = function()
  i = i + 1
  return wrk.format("GET", "/http/some-service-name.main-" .. i .. "/%d/a/path/of/some/length/" .. i)
end
"""


def memory(bench, hacheck_port, target_port, count=1_000_000):
    """The memory that names requested once cost."""
    bench.table.heading(f"hacheck, {count:,} services and paths, each asked for once")
    bench.start_server(LOCAL, target_port)
    nerve = bench.start_nerve({}, "nerve-memory", cache_time=600)
    script = f"{bench.folder}/names.lua"
    with open(script, "w") as file:
        file.write(LUA % target_port)
    bench.table.row("", "RSS", "/recent", "/status/count")

    def row(what):
        recent = sorted(page(hacheck_port, "/recent")[1] for _ in range(9))[4]
        counts = sorted(page(hacheck_port, "/status/count")[1] for _ in range(9))[4]
        bench.table.row(what, f"{nerve.status_field('VmRSS') / 1024:.1f} MB", f"{1000 * recent:.1f} ms",
                        f"{1000 * counts:.1f} ms")

    row("at the start")
    asked, began = 0, time.monotonic()
    while asked < count:
        subprocess.run(["wrk", "-t1", "-c32", "-d10s", "-s", script, f"http://{LOCAL}:{hacheck_port}/"],
                       capture_output=True, check=True, env={**os.environ, "BENCH_FIRST": str(asked)})
        text = page(hacheck_port, "/status")[0]
        asked = int(text.split('"gets": ')[1].split(",")[0])
        if asked == 0:
            raise Trouble(f"hacheck was asked for nothing: {text}")
    row(f"after {asked:,}")
    bench.table.row("answers kept", f"{gauge(hacheck_port, 'hacheck_cache_entries'):,.0f}")
    bench.table.row("live checks per second meanwhile", f"{asked / (time.monotonic() - began):,.0f}")
