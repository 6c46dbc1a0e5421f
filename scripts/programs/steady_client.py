"""A steady client: keep-alive and fresh connections at a fixed rate, every failure noted.

  steady_client.py HOST PORT CONNECTIONS RATE

CONNECTIONS are kept, one more is made for each request; each sends RATE requests per second. It reads
commands from standard input, one per line, and answers each with one line of JSON:
`report` (the totals so far), `seen NAME` (first and last answer of one task), `quit`. Times are CLOCK_MONOTONIC,
which all processes of one machine share.
"""
import http.client
import json
import sys
import threading
import time

# Seconds that a request takes at least if HAProxy has tried a server in vain: its `timeout connect`.
SLOW = 0.2


class Totals:
    def __init__(self):
        self.lock = threading.Lock()
        self.ok = {"keep-alive": 0, "fresh": 0}
        self.failures, self.latencies = [], []
        self.first, self.last, self.by_task = {}, {}, {}

    def succeeded(self, kind, task, began, ended):
        with self.lock:
            self.ok[kind] += 1
            self.latencies.append(ended - began)
            self.first.setdefault(task, ended)
            self.last[task] = ended
            self.by_task[task] = self.by_task.get(task, 0) + 1

    def failed(self, kind, problem, began):
        with self.lock:
            self.failures.append({"kind": kind, "problem": problem, "at": began, "until": time.monotonic()})

    def report(self):
        with self.lock:
            ordered = sorted(self.latencies) or [0.0]
            return {"ok": self.ok, "failures": self.failures, "by_task": self.by_task,
                    "slow": sum(seconds >= SLOW for seconds in ordered),
                    "p50_ms": 1000 * ordered[len(ordered) // 2], "p99_ms": 1000 * ordered[len(ordered) * 99 // 100]}

    def seen(self, task):
        with self.lock:
            return {"first": self.first.get(task), "last": self.last.get(task), "now": time.monotonic()}


def ask(connection, totals, kind):
    """One request; returns whether the connection can be used again."""
    began = time.monotonic()
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        totals.failed(kind, f"{type(error).__name__}: {error}", began)
        return False
    if response.status != 200:
        totals.failed(kind, f"status {response.status}", began)
        return False
    totals.succeeded(kind, body, began, time.monotonic())
    return not response.will_close


def steadily(rate, one):
    """Calls `one` at `rate` per second; a slow call delays the following ones, it does not bunch them."""
    due = time.monotonic()
    while True:
        one()
        due = max(due + 1 / rate, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def keep_alive(address, rate, totals):
    connection = None

    def one():
        nonlocal connection
        connection = connection or http.client.HTTPConnection(*address, timeout=5)
        if not ask(connection, totals, "keep-alive"):
            connection.close()
            connection = None

    steadily(rate, one)


def fresh(address, rate, totals):
    def one():
        connection = http.client.HTTPConnection(*address, timeout=5)
        ask(connection, totals, "fresh")
        connection.close()

    steadily(rate, one)


def main(host, port, connections, rate):
    address, totals = (host, int(port)), Totals()
    for target in [keep_alive] * int(connections) + [fresh]:
        threading.Thread(target=target, args=(address, float(rate), totals), daemon=True).start()
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "quit":
            break
        print(json.dumps(totals.report() if word == "report" else totals.seen(*rest)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
