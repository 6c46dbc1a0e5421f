"""What every part of the benchmark measures and prints with."""
import json
import os
import re
import subprocess
import time
import urllib.parse

import world
from world import Trouble

TARGET_PORT, BARE_PORT, HACHECK_PORT, MANY_PORTS = 8080, 8081, 6666, 9000
LOCAL = "127.0.0.1"


def write_json(path, value):
    with open(path + ".tmp", "w") as file:
        json.dump(value, file)
    os.rename(path + ".tmp", path)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def wait_until(condition, seconds=30, pause=0.0002):
    """Polls without pity; returns CLOCK_MONOTONIC when the condition came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Trouble(f"a change did not arrive within {seconds} s")
        time.sleep(pause)
    return time.monotonic()


class Table:
    def heading(self, title):
        print(f"\n{title}", flush=True)

    def row(self, what, *cells):
        print(f"  {what:<58}" + "".join(f"{cell:>16}" for cell in cells), flush=True)

    def times(self, what, seconds, bare=None):
        """`bare`: the same run's yardstick; how many times its median this median is becomes another column."""
        more = [] if bare is None else [f"{percentile(seconds, 0.5) / percentile(bare, 0.5):.1f} x bare"]
        self.row(what, f"{1000 * percentile(seconds, 0.5):.2f} ms", f"{1000 * percentile(seconds, 0.99):.2f} ms",
                 f"{1000 * max(seconds):.2f} ms", len(seconds), *more)


def status_at(port):
    """The status that a client of 169.254.255.254 gets, or None."""
    try:
        return world.exchange((world.SYNAPSE_ADDRESS, port), "GET / HTTP/1.0\r\n\r\n").split(" ")[1]
    except (OSError, IndexError):
        return None


def spool(service, port, **form):
    body = urllib.parse.urlencode(form)
    answer = world.exchange((LOCAL, HACHECK_PORT), "\r\n".join([
        f"POST /spool/{service}/{port}/status HTTP/1.1", f"Host: {LOCAL}", "Connection: close",
        "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}", "", body]))
    if " 200 " not in answer[:20]:
        raise Trouble(f"hacheck refused a downtime: {answer[:200]}")


def wrk(url, connections, seconds=3, is_new=False):
    """(requests/s, p50, p99) as wrk reports them; `is_new` makes a connection for each request."""
    headers = ["-H", "Connection: close"] if is_new else []
    run = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *headers, url],
                         capture_output=True, text=True, check=True)
    if "Non-2xx" in run.stdout:
        raise Trouble(f"{url} was not answered with 200:\n{run.stdout}")
    found = {key: re.search(pattern, run.stdout).group(1) for key, pattern in (
        ("rate", r"Requests/sec:\s+([\d.]+)"), ("p50", r"50%\s+(\S+)"), ("p99", r"99%\s+(\S+)"))}
    return float(found["rate"]), found["p50"], found["p99"]


def describe_machine(table):
    def first_line(*argv):
        try:
            return subprocess.run(argv, capture_output=True, text=True).stdout.split("\n")[0].strip()
        except OSError:
            return "not found"

    def package(name):
        return first_line("dpkg-query", "--show", "--showformat=${Version}", name) or "not a package"

    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / 2**20
    table.heading("Machine")
    for what, value in (
            ("processors", f"{os.cpu_count()} x {model}"), ("memory", f"{memory:.0f} GiB"),
            ("kernel", os.uname().release), ("Swift", first_line("swift", "--version")),
            ("HAProxy", first_line(world.HAPROXY, "-v")), ("ZooKeeper", package("zookeeper")),
            ("libevent", package("libevent-2.1-7")), ("commit", first_line("git", "describe", "--always", "--dirty"))):
        print(f"  {what:<12}{value}", flush=True)
