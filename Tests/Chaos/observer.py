"""Looks at every server of the ensemble ten times a second, without a session that a fault could end, and measures."""
import threading
import time

INTERVAL = 0.1


class Observer:
    """What each server has had, from `begin` on: a list of (time, registrations or None) per server, changes only."""

    def __init__(self, fleet):
        self.fleet, self.running, self.threads = fleet, True, []
        self.histories, self.wanted = {}, []
        self.watch(fleet.ensemble)
        self.begin()

    def watch(self, ensemble):
        for server in ensemble.servers:
            thread = threading.Thread(target=self._follow, args=(server,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _follow(self, server):
        while self.running:
            self._note(server.host, self.fleet.registrations(server))
            time.sleep(INTERVAL)

    def _note(self, host, seen):
        history = self.histories.setdefault(host, [])
        if not history or history[-1][1] != seen:
            history.append((time.monotonic(), seen))

    def begin(self):
        self.histories = {host: history[-1:] for host, history in self.histories.items()}
        self.wanted = []
        self.want()

    def want(self, coming=()):
        """Notes what is wanted from now on; what is still coming may be there or not."""
        keys = {(service, name) for service, ports in self.fleet.wanted.items() for name in ports}
        self.wanted.append((time.monotonic(), (keys - set(coming), keys)))

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join()

    # Measures, in seconds

    def measures(self):
        """The longest that a registration was missing, was there twice, and stood though it was no more wanted:
        {measure: (seconds, service, host, server)}."""
        now = time.monotonic()
        longest = {"missing": (0.0,), "duplicates": (0.0,), "lingering": (0.0,)}
        since = {}
        for host, history in self.histories.items():
            for at, seen, wanted in self._moments(list(history)):
                present = set() if seen is None else self._wrong(seen, wanted)
                for key in [key for key in since if key[0] == host and key[1:] not in present]:
                    self._longer(longest, key, at - since.pop(key))
                for one in present:
                    since.setdefault((host, *one), at)
        for key, at in since.items():
            self._longer(longest, key, now - at)
        return longest

    def _moments(self, history):
        """(time, what the server had, what was wanted) at each change of either."""
        times = sorted({at for at, _ in history} | {at for at, _ in self.wanted})
        began = self.wanted[0][0]
        for at in times:
            if at >= began:
                yield at, last(history, at), last(self.wanted, at)

    @staticmethod
    def _wrong(seen, wanted):
        wanted, allowed = wanted
        return ({("missing", *key) for key in wanted if key not in seen}
                | {("duplicates", *key) for key, count in seen.items() if count > 1}
                | {("lingering", *key) for key in seen if key not in allowed})

    @staticmethod
    def _longer(longest, key, seconds):
        host, measure, service, name = key
        if seconds > longest[measure][0]:
            longest[measure] = (seconds, service, name, host)


def last(pairs, at):
    found = None
    for time_of, value in pairs:
        if time_of > at:
            break
        found = value
    return found
