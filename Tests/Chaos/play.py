"""One run of a scenario: what is measured, and what has to be true of it."""
import time

from fleet import Fleet
from observer import Observer

import world
from world import Trouble

# Seconds within which every agent is true again after a fault's end; a registration may be missing beyond what its session
# demands; one may be there twice.
TRUE_AGAIN, MISSING, TWICE = 5, 2, 1
# How long the end is waited for, and watched.
PATIENCE, WATCH = 60, 2


class Play:
    """What a scenario does and says: it breaks, waits, mends, and calls `healed` where the fault ends."""

    def __init__(self, fleet, observer, is_short):
        self.fleet, self.observer, self.is_short = fleet, observer, is_short
        self.limits = {"missing": MISSING, "lingering": MISSING, "duplicates": TWICE, "true again": TRUE_AGAIN}
        self.excused, self.share, self.again, self.reasons = [], 0.0, None, []
        self.spoils = False

    # For scenarios

    @property
    def hosts(self):
        return self.fleet.hosts

    @property
    def session(self):
        return self.fleet.session

    @property
    def beyond_session(self):
        """Longer than a session lives."""
        return 1.5 * self.session + 1

    @staticmethod
    def wait(seconds):
        """The fault lasts: its length is part of the scenario."""
        time.sleep(seconds)

    def healed(self):
        """The fault ends: waits until all is true."""
        self.again = self.until_true("all is true again")

    def sessions_end(self, seconds):
        """The fault lasts so long that sessions end: registrations are missing from then to the fault's end."""
        self.limits["missing"] += max(0, seconds - self.session * 2 / 3)

    def sessions_linger(self):
        """What was taken back, or moved on, while its host could not say so stands as long as its session."""
        self.limits["lingering"] += self.session * 4 / 3

    def excuse(self, word):
        """Failed requests with this word in their problem are in flight to what was killed."""
        self.excused.append(word)

    def may_fail(self, share):
        """The share of requests that may fail, where some servers cannot be reached."""
        self.share = share

    def leaves(self, service, name):
        """A task is not to be registered and served any more, from now on."""
        self.fleet.wanted[service].pop(name)
        self.observer.want()

    def comes(self, service, name, port):
        """A task is to be registered and served, and is before this returns."""
        self.fleet.wanted[service][name] = port
        self.observer.want(coming=[(service, name)])
        self.until_true(f"{service} of {name} is back")
        self.observer.want()

    def until_true(self, what):
        """Returns how long that took, and what was untrue last."""
        began, before = time.monotonic(), []
        while untrue := self.fleet.untrue():
            if time.monotonic() > began + PATIENCE:
                raise Trouble(f"not within {PATIENCE} s: {what}; " + "; ".join(untrue[:4]))
            time.sleep(0.1)
            before = untrue
        return time.monotonic() - began, before[:4]

    def until(self, what, condition, seconds=30):
        return world.wait_for(what, condition, seconds, pause=0.05)

    def must(self, sentence, condition):
        if not condition:
            self.reasons.append(f"it is not so that {sentence}")

    # The verdict

    def judge(self, began, slack):
        """Watches that all stays true, and returns the figures."""
        if self.again is None:
            self.healed()
        time.sleep(WATCH)
        self.reasons += [f"true, and then no more: {word}" for word in self.fleet.untrue()[:4]]
        self.reasons += self.fleet.misreported()[:4]
        measures = self.observer.measures()
        for name, limit in self.limits.items():
            seconds, where = self.again if name == "true again" else (measures[name][0], measures[name][1:])
            if seconds > limit * slack:
                self.reasons.append(f"{name}: {seconds:.1f} s, more than {limit:.1f} s: " + ", ".join(where))
        requests = self.requests(began)
        self.judge_requests(requests)
        for program in self.fleet.programs():
            if not program.alive():
                self.reasons.append(f"{program.name} ended with {program.status}\n{world.tail(program.log_path)}")
                self.spoils = True
        return {"requests": requests["all"], "failed": len(requests["failures"]), "wrong": requests["wrong"],
                "slow": requests["slow"],
                "missing": round(measures["missing"][0], 1), "lingering": round(measures["lingering"][0], 1),
                "duplicates": round(measures["duplicates"][0], 1),
                "true_again": round(self.again[0], 1),
                "verdict": "FAIL" if self.reasons else "PASS", "reasons": self.reasons}

    def requests(self, began):
        """Of all clients since `began`, the reports of that moment."""
        total, wrong, slow, failures = 0, 0, 0, []
        for (host, service), before in began.items():
            after = self.fleet.host(host).clients[service].report()
            total += sum(after["ok"].values()) - sum(before["ok"].values())
            slow += after["slow"] - before["slow"]
            for task, count in after["by_task"].items():
                if task.partition("@")[0] != service:
                    wrong += count - before["by_task"].get(task, 0)
            failures += [{**one, "host": host, "service": service} for one in after["failures"][len(before["failures"]):]]
        return {"all": total + len(failures), "wrong": wrong, "slow": slow, "failures": failures}

    def judge_requests(self, requests):
        if requests["wrong"]:
            self.reasons.append(f"{requests['wrong']} requests were answered by the wrong service")
        failures = [one for one in requests["failures"] if not any(word in one["problem"] for word in self.excused)]
        if len(failures) > self.share * requests["all"]:
            first = failures[0]
            self.reasons.append(f"{len(failures)} requests failed, first {first['host']} asking {first['service']}: "
                                f"{first['problem']} ({first['kind']}), {first['at'] - self.observer.wanted[0][0]:.1f} s "
                                "after the beginning")


class Stage:
    """A fleet that scenarios are played on, one after the other; it is made anew after one that leaves it spoiled, and for
    one that wants other options of configure_synapse."""

    def __init__(self, bindir, count, session):
        self.bindir, self.count, self.session = bindir, count, session
        self.fleet, self.observer, self.fleets = None, None, 0

    def play(self, scenario, is_short, slack):
        if self.fleet and self.fleet.options != scenario.options:
            self.end()
        if self.fleet is None:
            self.fleets += 1
            self.fleet = Fleet(self.bindir, self.count, self.session, f"{world.scratch()}/{self.fleets}", scenario.options)
            self.fleet.start()
            self.observer = Observer(self.fleet)
        play = Play(self.fleet, self.observer, is_short)
        self.observer.begin()
        began = {(host.name, service): client.report() for host in self.fleet.hosts
                 for service, client in host.clients.items()}
        try:
            scenario(play)
            figures = play.judge(began, slack)
        except Trouble as trouble:
            play.spoils = True
            figures = {"verdict": "FAIL", "reasons": [*play.reasons, str(trouble)]}
        finally:
            self.fleet.network.heal()
        if play.spoils or figures["verdict"] == "FAIL":
            self.end()
        return figures

    def end(self):
        if self.fleet is None:
            return
        self.observer.stop()
        self.fleet.end()
        self.fleet = self.observer = None
