"""Computes what a fleet costs its ensemble from what a smaller one was measured to cost. Pure: figures in, figures out."""
import itertools
from dataclasses import dataclass

from benchmarks.common import Table

FLAPS = 10
# A push takes longer in a larger fleet: so many seconds for each host.
PUSH_SECONDS = 0.2
# Bytes with which a reader learns whether a path has changed.
BYTES_COMPARED = 110
HEADINGS = ("lists", "adds", "reads", "writes", "packets", "events", "MB", "watches", "server CPU", "sessions", "true p50",
            "p99", "last")
# Paths that a reader looks at with one request.
PATHS_TOGETHER = 128
OPERATIONS = ("list", "watch", "read", "write")
# Computed fleets: hosts, and one server of the ensemble, with so many processors, for each so many hosts.
FLEETS, SERVICES, EACH = (5_000, 35_000), 2_000, 50
HOSTS_PER_SERVER, PROCESSORS = 1_000, 4


@dataclass(frozen=True)
class Shape:
    """Services that every host follows, tasks of the first one, and of each other one; there is one service more."""
    services: int
    tasks: int
    each: int

    @property
    def known(self):
        return self.tasks + (self.services - 1) * self.each

    @property
    def all(self):
        return self.known + self.each

    def following(self, known):
        """The number of services that have so many tasks."""
        return self.services + (known == self.all)


@dataclass(frozen=True)
class Fleet:
    hosts: int
    shape: Shape

    def units(self, scenario, operation):
        """What the number of these operations is proportional to.

        Lists go with the paths that a host follows, and watches with the requests that set so many; reads, events and bytes
        go with the registrations that it learns of, and writes with those that change.
        """
        shape, kind = self.shape, scenario.partition(",")[0]
        changed = {"deploy": shape.tasks, "push": shape.all, "flap": FLAPS * shape.all / self.hosts}.get(kind)
        if operation == "write":
            return changed or 1
        if changed is not None:
            return self.hosts * (1 if operation in ("list", "watch") else changed)
        if kind == "rest":
            # Looks to be safe come in so many rounds, however many paths there are.
            return self.hosts * (shape.services if operation == "bytes" else 1)
        # After a restart only what has changed is listed.
        units = {"watch": -(-shape.services // PATHS_TOGETHER), "list": shape.services if kind == "start" else 1}
        return self.hosts * units.get(operation, shape.known)


def scaled(cost, scenario, known, wanted):
    """The cost for the fleet `wanted`, from that of the fleet `known`; processors' time and delays are not in it."""
    return {key: cost[key] * wanted.units(scenario, key) / known.units(scenario, key)
            for key in (*OPERATIONS, "events", "bytes")}


def causes(cost):
    """What costs a server time: requests, events and megabytes."""
    return sum(cost[operation] for operation in OPERATIONS), cost["events"], cost["bytes"] / 1e6


def fit(rows):
    """Seconds of a server for each cause, none negative, from rows of causes and seconds; small rows count as much as large.
    """
    best = None
    for size in (1, 2, 3):
        for chosen in itertools.combinations(range(3), size):
            weighted = [([x[i] / max(y, 0.2) for i in chosen], y / max(y, 0.2)) for x, y in rows]
            solution = solve([[sum(a[i] * a[j] for a, _ in weighted) for j in range(size)] for i in range(size)],
                             [sum(a[i] * b for a, b in weighted) for i in range(size)])
            if solution is None or min(solution) < 0:
                continue
            error = sum((sum(a * s for a, s in zip(row, solution)) - b) ** 2 for row, b in weighted)
            if best is None or error < best[0]:
                best = error, [dict(zip(chosen, solution)).get(i, 0.0) for i in range(3)]
    return best[1] if best else [0.0] * 3


def solve(matrix, right):
    """The solution of linear equations; None where they have no single one."""
    rows = [[*row, value] for row, value in zip(matrix, right)]
    for i in range(len(rows)):
        pivot = max(range(i, len(rows)), key=lambda j: abs(rows[j][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        if abs(rows[i][i]) < 1e-12:
            return None
        for j in range(len(rows)):
            if j != i:
                factor = rows[j][i] / rows[i][i]
                rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i])]
    return [row[-1] / row[i] for i, row in enumerate(rows)]


def cells(cost):
    """One row of the table of measurements: requests by their kind, and what came of them."""
    times = [f"{cost[key]:.2f} s" if cost[key] else "" for key in ("p50", "p99", "p100")]
    return [*(f"{max(0, cost[key]):,.0f}" for key in (*OPERATIONS, "packets", "events")), f"{max(0, cost['bytes']) / 1e6:,.1f}",
            f"{cost['watches']:,.0f}", *(f"{max(0, cost[key]):,.2f} s" for key in ("server_cpu", "session_cpu")), *times]


def urgent(cost, scenario, fleet):
    """The part of a cost that the truth waits for: after a restart what is known already is read again in the background."""
    if not scenario.startswith("restart"):
        return cost
    return {**cost, "read": cost["watch"], "bytes": BYTES_COMPARED * fleet.hosts * fleet.shape.services}


def late(cost, seconds, more_seconds, duration=None):
    """The p99 where the work takes `more_seconds` instead of `seconds`: what does not fit into the change's own time.

    `duration`: that time in the other fleet, if it is another one.
    """
    duration = cost["duration"] if duration is None else duration
    return cost["p99"] + max(0, more_seconds - duration) - max(0, seconds - cost["duration"])


def row(what, *cells, width=12):
    print(f"  {what:<22}" + "".join(f"{cell:>{width}}" for cell in cells), flush=True)


def show(shape, measured, cores):
    """Prints how well the first fleet predicts the others, then the large fleets.

    `measured`: pairs of hosts and costs by scenario; `cores`: of the machine on which servers and sessions ran together.
    """
    costs = measured[0][1]
    scenarios = [name for name in costs if not name.startswith("start of")]
    rates = rates_of(measured[:1], scenarios)
    for hosts, found in measured[1:]:
        Table().heading(f"{hosts:,} hosts, predicted from {measured[0][0]:,} / measured")
        row("", "requests", "events", "MB", "server CPU", "true p99", width=24)
        for name in scenarios:
            guess, true = Guess(name, measured[0], shape, Fleet(hosts, shape), rates), found[name]
            sessions = costs[name]["session_cpu"] * hosts / measured[0][0]
            before = (costs[name]["server_cpu"] + costs[name]["session_cpu"]) / cores
            done = late(costs[name], before, (guess.cpu + sessions) / cores, guess.duration)
            pairs = [*zip(causes(guess.cost), causes(true)), (guess.cpu, true["server_cpu"]), (done, true["p99"])]
            row(name, *(f"{max(0, a):,.0f} / {max(0, b):,.0f}" for a, b in pairs[:3]),
                *(f"{max(0, a):,.1f} / {max(0, b):,.1f}" for a, b in pairs[3:]), width=24)
    rates = rates_of(measured, scenarios)
    Table().heading(f"A server's time: {1e6 * rates[0]:.0f} us a request, {1e6 * rates[1]:.1f} us an event, "
                    f"{1e3 * rates[2]:.1f} ms a megabyte")
    large = Shape(SERVICES, shape.tasks, EACH)
    for hosts in FLEETS:
        servers = hosts // HOSTS_PER_SERVER
        Table().heading(f"{hosts:,} hosts x {SERVICES:,} services, {large.known:,} registrations, computed; "
                        f"{servers} servers of {PROCESSORS} processors")
        row("", "requests", "events", "GB", "server CPU", "true p99", width=16)
        for name in scenarios:
            guess = Guess(name, measured[0], shape, Fleet(hosts, large), rates)
            done = late(costs[name], 0, guess.urgent_cpu / servers / PROCESSORS, guess.duration)
            row(name, *(f"{max(0, value):,.0f}" for value in causes(guess.cost)[:2]), f"{guess.cost['bytes'] / 1e9:,.1f}",
                f"{guess.cpu:,.0f} s", f"{done:,.1f} s" if name != "rest" else "", width=16)


def rates_of(measured, scenarios):
    return fit([(causes(costs[name]), costs[name]["server_cpu"]) for _, costs in measured for name in scenarios])


class Guess:
    """What one scenario costs the fleet `wanted`, from `known`: hosts and costs of a measured one of this shape."""

    def __init__(self, name, known, shape, wanted, rates):
        self.cost = scaled(known[1][name], name, Fleet(known[0], shape), wanted)
        self.cpu, self.urgent_cpu = (sum(a * b for a, b in zip(rates, causes(cost)))
                                     for cost in (self.cost, urgent(self.cost, name, wanted)))
        self.duration = PUSH_SECONDS * wanted.hosts if name == "push" else known[1][name]["duration"]
