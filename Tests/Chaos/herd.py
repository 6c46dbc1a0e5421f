"""Many agents on one ensemble that loses everything. They share one machine, so there is no HAProxy: synapse writes the
files for clients without a proxy, which follow the same rules."""
import json
import os
import shutil
import subprocess
import threading
import time

from fleet import ENSEMBLE, ROOT

import world
from world import Process, Trouble, wait_for

SERVICES = ("a", "b")
# Seconds until everything is registered again.
BACK = 15


class Herd:
    def __init__(self, bindir, count, folder):
        os.makedirs(folder)
        for address in ENSEMBLE:
            subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
        self.bindir, self.count, self.folder, self.processes = bindir, count, folder, []
        # A session of nerve has its usual length.
        self.ensemble = world.Ensemble(f"{folder}/ensemble", ENSEMBLE, tick_ms=2000, max_session_ms=40_000).start()
        self.tasks = world.StatusServer("127.0.0.1", count)
        self.least, self.running = count, True

    def start(self):
        for number, port in enumerate(self.tasks.ports):
            self.start_agent("nerve", number, {
                "instance_id": f"host{number}", "hacheck": False, "services": {
                    service: {"host": "127.0.0.1", "port": port, "zk_hosts": ENSEMBLE, "zk_path": f"{ROOT}/{service}",
                              "check_interval": 2, "checks": [{"type": "http", "uri": "/", "timeout": 5, "open_timeout": 5}]}
                    for service in SERVICES}})
            self.start_agent("synapse", number, {
                "file_output": {"output_directory": f"{self.folder}/{number}"}, "services": {
                    service: {"discovery": {"method": "zookeeper", "path": f"{ROOT}/{service}", "hosts": ENSEMBLE},
                              "use_previous_backends": False}
                    for service in SERVICES}})
        wait_for("all are registered and served", lambda: self.registered() and self.served() == self.count, 120, pause=0.2,
                 while_alive=self.processes)
        threading.Thread(target=self.watch, daemon=True).start()

    def start_agent(self, agent, number, configuration):
        folder = f"{self.folder}/{agent}-{number}"
        os.makedirs(folder)
        with open(f"{folder}/conf.json", "w") as file:
            json.dump({"state_dir": folder, **configuration}, file)
        self.processes.append(Process([f"{self.bindir}/{agent}", "-c", f"{folder}/conf.json"], f"{folder}.log", cwd=folder))

    def registered(self):
        """Whether each server has every registration once."""
        return all(len(server.ephemerals()) == self.count * len(SERVICES) for server in self.ensemble.servers)

    def served(self):
        """The least number of servers that any file has."""
        return min(self.servers(f"{self.folder}/{number}/{service}.json")
                   for number in range(self.count) for service in SERVICES)

    @staticmethod
    def servers(path):
        try:
            with open(path) as file:
                return len(json.load(file))
        except OSError:
            return 0

    def watch(self):
        while self.running:
            self.least = min(self.least, self.served())
            time.sleep(0.1)

    def lose_everything(self):
        """Returns how long it took until all was registered again."""
        self.ensemble.kill()
        for server in self.ensemble.servers:
            shutil.rmtree(server.folder + "/data/version-2")
        self.ensemble.start()
        began = time.monotonic()
        wait_for("all are registered again", self.registered, 120, pause=0.1, while_alive=self.processes)
        return time.monotonic() - began

    def end(self):
        self.running = False
        for process in self.processes:
            process.kill()
        self.tasks.close()
        self.ensemble.kill()


def play(bindir, count, folder, slack):
    herd = Herd(bindir, count, folder)
    reasons, back = [], None
    try:
        herd.start()
        back = herd.lose_everything()
        wait_for("all are served", lambda: herd.served() == count, 60, pause=0.2, while_alive=herd.processes)
        if back > BACK * slack:
            reasons.append(f"all were registered again after {back:.1f} s, not {BACK}")
        if herd.least == 0:
            reasons.append("a service was without servers")
    except Trouble as trouble:
        reasons.append(str(trouble))
    finally:
        herd.end()
    return {"registrations": count * len(SERVICES), "least_servers": herd.least, "true_again": back and round(back, 1),
            "verdict": "FAIL" if reasons else "PASS", "reasons": reasons}
