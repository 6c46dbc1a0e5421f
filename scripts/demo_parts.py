"""What the demo is made of: its narration, two hosts with tasks and nerve, and synapse's configuration."""
import json
import os
import time
import urllib.parse

import world
from world import Process, Trouble, wait_for

WEST, EAST = "10.0.1.11", "10.0.2.12"
LOCATIONS = {WEST: {"habitat": "uswest1aprod", "region": "uswest1-prod"},
             EAST: {"habitat": "useast1bprod", "region": "useast1-prod"}}
HACHECK_PORT = 6666
# service: (port on 169.254.255.254, discover level)
SERVICES = {"web.main": (20001, "region"), "api.main": (20002, "habitat")}


class Story:
    """What the reader of the terminal sees: a clock, a sentence, and how long the step took."""

    def __init__(self):
        self.began = time.monotonic()

    def tell(self, sentence, seconds=None):
        took = "" if seconds is None else f"{1000 * seconds:10.1f} ms"
        print(f"{time.monotonic() - self.began:7.2f} s  {sentence:<92}{took}", flush=True)

    def detail(self, text):
        for line in text.splitlines():
            print(f"{'':11}{line}", flush=True)

    def chapter(self, title):
        print(f"\n{title}", flush=True)


class Task:
    """One task: a process that answers with its name."""

    def __init__(self, service, host, port):
        self.service, self.host, self.port = service, host, port
        self.name = f"{service}@{LOCATIONS[host]['habitat']}:{port}"
        self.process = None

    def start(self, folder):
        self.process = world.start_task(self.name, self.port, f"{folder}/task-{self.port}.log")
        wait_for(f"{self.name} answers", self.answers, pause=0.005, while_alive=[self.process])

    def answers(self):
        try:
            return "200 OK" in world.exchange((self.host, self.port), "GET / HTTP/1.0\r\n\r\n")
        except OSError:
            return False

    def registration(self):
        """What configure_nerve writes for this task."""
        labels = {f"{kind}:{place}": "" for kind, place in LOCATIONS[self.host].items()}
        return f"{self.service}.{LOCATIONS[self.host]['region']}:{self.host}.{self.port}.v2.new", {
            "host": self.host, "port": self.port, "weight": 10, "labels": labels,
            "zk_hosts": [world.ZooKeeperServer.address], "zk_path": f"/smartstack/global/{self.service}",
            "check_interval": 2.0,
            "checks": [{"type": "http", "host": self.host, "port": HACHECK_PORT,
                        "uri": f"/http/{self.service}/{self.port}/status", "timeout": 1.0, "open_timeout": 1.0,
                        "rise": 1, "fall": 2,
                        "headers": {"X-Nerve-Check-IP": self.host, "x-smartstack-target-identity": self.service}}]}


class Nerve:
    """nerve with its embedded hacheck on one of the hosts."""

    def __init__(self, host, bindir, folder):
        self.host, self.binary, self.folder = host, f"{bindir}/nerve", f"{folder}/nerve-{host}"
        os.makedirs(f"{self.folder}/spool")
        write_json(f"{self.folder}/hacheck.yaml", {"cache_time": 1, "allow_remote_spool_changes": True})
        self.process = None

    def configure(self, tasks):
        write_json(f"{self.folder}/nerve.conf.json", {
            "instance_id": f"host-{self.host}", "heartbeat_path": f"{self.folder}/heartbeat",
            "state_dir": f"{self.folder}/state",
            "hacheck": {"port": HACHECK_PORT, "bind_address": self.host, "config": f"{self.folder}/hacheck.yaml",
                        "spool_root": f"{self.folder}/spool"},
            "services": dict(task.registration() for task in tasks if task.host == self.host)})

    def start(self):
        os.makedirs(f"{self.folder}/state", exist_ok=True)
        self.process = Process([self.binary, "-c", f"{self.folder}/nerve.conf.json"], f"{self.folder}/nerve.log",
                               cwd=self.folder)

    def spool(self, task, **form):
        """POST /spool/SERVICE/PORT/status, as PaaSTA drains a task."""
        body = urllib.parse.urlencode(form)
        answer = world.exchange((self.host, HACHECK_PORT), "\r\n".join([
            f"POST /spool/{task.service}/{task.port}/status HTTP/1.1", f"Host: {self.host}", "Connection: close",
            "Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(body)}", "", body]))
        if not answer.startswith("HTTP/1.1 200"):
            raise Trouble(f"hacheck refused the downtime of {task.name}: {answer.splitlines()[:1]}")


def synapse_configuration(folder, haproxy):
    """What configure_synapse writes for this host, as far as the demo needs it."""
    here = LOCATIONS[WEST]
    services = {}
    for name, (port, discover) in SERVICES.items():
        services[name] = {
            "default_servers": [], "use_previous_backends": False,
            "discovery": {
                "method": "zookeeper", "path": f"/smartstack/global/{name}", "hosts": [world.ZooKeeperServer.address],
                "label_filters": [{"label": f"{discover}:{here[discover]}", "value": "", "condition": "equals"}]},
            "haproxy": {
                "port": str(port), "frontend": ["timeout client 10s"], "listen": [], "backend_name": name,
                "backend": ["option http-keep-alive",
                            f"option httpchk GET /http/{name}/0/status", "http-check send-state"],
                "server_options": f"check port {HACHECK_PORT} observe layer7 maxconn 50 maxqueue 10"}}
    return {"services": services, "state_dir": f"{folder}/state", "haproxy": {
        "bind_address": world.SYNAPSE_ADDRESS, "config_file_path": haproxy.config, "socket_file_path": haproxy.socket,
        "do_writes": True, "do_reloads": True, "do_socket": True,
        "reload_command": f"kill -USR2 $(cat {haproxy.pid_file})", "restart_interval": 2, "restart_jitter": 0.1,
        "state_file_path": f"{folder}/state.json", "state_file_ttl": 1800,
        "global": [f"stats socket {haproxy.socket} level admin expose-fd listeners", "maxconn 1000",
                   "spread-checks 50", "hard-stop-after 30s"],
        "defaults": ["mode http", "timeout connect 1000ms", "timeout client 10s", "timeout server 10s",
                     "retries 1", "option redispatch 1", "balance leastconn",
                     "default-server on-error fastinter error-limit 1 inter 10m downinter 30s fastinter 30s rise 1 "
                     "fall 2"],
        "extra_sections": {"listen stats": ["bind 127.0.0.1:3212", "mode http", "stats enable", "stats uri /"]}}}


def write_json(path, value):
    """Written beside and renamed, as the configuration modes do."""
    with open(path + ".tmp", "w") as file:
        json.dump(value, file, indent=2)
    os.rename(path + ".tmp", path)
