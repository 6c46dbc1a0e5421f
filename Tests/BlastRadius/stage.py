"""The stage of the matrix: services a, b, c (and d, which comes later) on real ZooKeeper, nerve, synapse and HAProxy.

One process of each, in namespaces of their own. Only b's input is ever spoiled; two steady clients ask a and c
throughout, and an observer watches their registrations.
"""
import copy
import http.client
import http.server
import json
import os
import signal
import subprocess
import threading
import time

import world
from world import Process, Trouble, wait_for

LOCAL = "127.0.0.1"
SERVICES = {"a": (31001, 20001), "b": (31002, 20002), "c": (31003, 20003), "d": (31004, 20004)}
HACHECK_PORT, STATS_PORT, STATUS_PORT = 6666, 3212, 3214
ROOT = "/smartstack/global"


def write_text(path, text):
    """Written beside and renamed, so that no reader sees half of it; text may be bytes."""
    with open(path + ".tmp", "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    os.rename(path + ".tmp", path)


class Task:
    """An HTTP server that answers every request with its service's name."""

    def __init__(self, name, port):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = name.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        http.server.ThreadingHTTPServer.request_queue_size = 128
        self.server = http.server.ThreadingHTTPServer((LOCAL, port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def ask(port, timeout=3):
    """What the service at a port of synapse's address answers: its name, a status, or the error's text."""
    connection = http.client.HTTPConnection(world.SYNAPSE_ADDRESS, port, timeout=timeout)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        return body if answer.status == 200 else str(answer.status)
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()


class SteadyClient:
    """Asks one service over and over; whatever is not its name is a failure."""

    def __init__(self, name):
        self.name, self.port = name, SERVICES[name][1]
        self.good, self.failures, self.running = 0, [], True
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while self.running:
            answer = ask(self.port)
            if answer == self.name:
                self.good += 1
            else:
                self.failures.append(answer)
            time.sleep(0.01)


class Observer:
    """Watches the registrations of a service; remembers whether it was ever without one."""

    def __init__(self, client, name):
        self.gaps, self.children = 0, []
        self.seen = False

        @client.ChildrenWatch(f"{ROOT}/{name}")
        def changed(children):
            self.children = children
            if self.seen and not children:
                self.gaps += 1
            self.seen = self.seen or bool(children)


class Stage:
    # Seconds until something that does not come true is given up.
    patience = 30

    def __init__(self, bindir, folder):
        self.bindir, self.folder = bindir, folder
        os.makedirs(f"{folder}/spool")
        self.zookeeper = world.ZooKeeperServer(f"{folder}/zookeeper").start()
        self.client = world.zookeeper_client()
        for name in SERVICES:
            self.client.ensure_path(f"{ROOT}/{name}")
        self.haproxy = world.HAProxy(folder).start()
        self.tasks = {name: Task(name, port) for name, (port, _) in SERVICES.items()}
        self.nerve = self.synapse = None
        self.clients, self.observers = {}, {}

    # --- what is good -------------------------------------------------------------------------------------------

    @staticmethod
    def nerve_service(name):
        port = SERVICES[name][0]
        return {"host": LOCAL, "port": port, "zk_hosts": [world.ZooKeeperServer.address], "zk_path": f"{ROOT}/{name}",
                "check_interval": 0.2, "weight": 10, "labels": {"region:here": ""},
                "checks": [{"type": "http", "uri": "/health", "timeout": 2.0, "open_timeout": 2.0, "rise": 1, "fall": 2}]}

    @staticmethod
    def synapse_service(name):
        return {"default_servers": [], "use_previous_backends": False,
                "discovery": {"method": "zookeeper", "path": f"{ROOT}/{name}", "hosts": [world.ZooKeeperServer.address]},
                "haproxy": {"port": SERVICES[name][1], "frontend": ["timeout client 10s"], "listen": [],
                            "backend": ["option http-keep-alive"],
                            "server_options": "check inter 10m"}}

    def good_nerve(self, names="abc"):
        return {"instance_id": "here", "state_dir": f"{self.folder}/nerve-state",
                "hacheck": {"port": HACHECK_PORT, "bind_address": LOCAL, "config": f"{self.folder}/hacheck.yaml",
                            "spool_root": f"{self.folder}/spool"},
                "services": {name: self.nerve_service(name) for name in names}}

    def good_synapse(self, names="abc"):
        haproxy = self.haproxy
        return {"state_dir": f"{self.folder}/synapse-state", "status_port": STATUS_PORT,
                "services": {name: self.synapse_service(name) for name in names},
                "haproxy": {
                    "bind_address": world.SYNAPSE_ADDRESS, "config_file_path": haproxy.config,
                    "socket_file_path": haproxy.socket, "do_writes": True, "do_reloads": True, "do_socket": True,
                    "reload_command": f"kill -USR2 $(cat {haproxy.pid_file})", "restart_interval": 0.05,
                    "audit_interval": 1, "state_file_path": f"{self.folder}/state.json", "state_file_ttl": 1800,
                    "max_old_workers": 40,
                    "global": [f"stats socket {haproxy.socket} level admin expose-fd listeners", "maxconn 1000"],
                    "defaults": ["mode http", "timeout connect 2000ms", "timeout client 10s", "timeout server 10s",
                                 "retries 1", "option redispatch 1", "balance roundrobin"],
                    "extra_sections": {"listen stats": [f"bind {LOCAL}:{STATS_PORT}", "mode http", "stats enable",
                                                        "stats uri /"]}}}

    # --- the agents -----------------------------------------------------------------------------------------------

    @property
    def nerve_file(self):
        return f"{self.folder}/nerve.conf.json"

    @property
    def synapse_file(self):
        return f"{self.folder}/synapse.conf.json"

    def start(self):
        write_text(f"{self.folder}/hacheck.yaml", "allow_remote_spool_changes: true\ncache_time: 1\n")
        self.write(self.good_nerve(), self.good_synapse(), signal_agents=False)
        for name in ("nerve", "synapse"):
            os.makedirs(f"{self.folder}/{name}-state", exist_ok=True)
        self.nerve = Process([f"{self.bindir}/nerve", "-c", self.nerve_file], f"{self.folder}/nerve.log", cwd=self.folder)
        self.synapse = Process(
            [f"{self.bindir}/synapse", "-c", self.synapse_file], f"{self.folder}/synapse.log", cwd=self.folder)
        for name in "abc":
            self.until(f"{name} is served", lambda name=name: self.answer(name) == name)
        for name in "ac":
            self.clients[name] = SteadyClient(name)
            self.observers[name] = Observer(self.client, name)

    def write(self, nerve=None, synapse=None, signal_agents=True):
        """Replaces the agents' files (dictionaries, or texts as they are) and sends SIGHUP to those that changed."""
        for path, value, process in ((self.nerve_file, nerve, self.nerve), (self.synapse_file, synapse, self.synapse)):
            if value is None:
                continue
            write_text(path, value if isinstance(value, (str, bytes)) else json.dumps(value, indent=1))
            if signal_agents:
                process.send(signal.SIGHUP)

    def until(self, what, condition):
        return wait_for(what, condition, self.patience, pause=0.01, while_alive=[p for p in (self.nerve, self.synapse) if p])

    # --- what can be seen -------------------------------------------------------------------------------------------

    @staticmethod
    def answer(name):
        return ask(SERVICES[name][1])

    def registered(self, name):
        return self.client.get_children(f"{ROOT}/{name}")

    def log_position(self):
        return {name: os.path.getsize(f"{self.folder}/{name}.log") for name in ("nerve", "synapse")}

    def log_since(self, position, agent):
        with open(f"{self.folder}/{agent}.log", "rb") as file:
            file.seek(position[agent])
            return file.read().decode(errors="replace")

    def command(self, *words):
        """(exit status, all that it prints) of one of the agents' commands, run to its end."""
        done = subprocess.run([f"{self.bindir}/{words[0]}", *words[1:]], capture_output=True, text=True, timeout=60,
                              errors="replace", cwd=self.folder)
        return done.returncode, done.stdout + done.stderr

    def status_text(self, agent):
        return self.command(agent, "status", "-c", self.synapse_file if agent == "synapse" else self.nerve_file)[1]

    # --- one cell -----------------------------------------------------------------------------------------------------

    def until_reloaded(self):
        """The reload that takes d away, after the last cell, comes a moment after d has left."""
        self.until("d's port is closed", lambda: self.answer("d").startswith("ConnectionRefused"))

    def begin(self):
        for client in self.clients.values():
            client.failures.clear()
            client.good = 0
        for observer in self.observers.values():
            observer.gaps = 0
        return self.log_position()

    def undisturbed(self):
        """Raises where a or c was touched since `begin`."""
        for name, client in self.clients.items():
            if client.failures:
                raise Trouble(f"{name} failed {len(client.failures)} of {len(client.failures) + client.good} requests,"
                              f" first: {client.failures[0]}")
        for name, observer in self.observers.items():
            if observer.gaps or not observer.children:
                raise Trouble(f"{name} was without a registration")

    def clients_move(self, requests=3):
        """Both steady clients have had answers since now: what comes next is seen by them."""
        marks = {name: client.good for name, client in self.clients.items()}
        self.until("a and c answer", lambda: all(
            client.good >= marks[name] + requests or client.failures for name, client in self.clients.items()))

    def end(self):
        for client in self.clients.values():
            client.running = False
        for process in (self.nerve, self.synapse, self.haproxy.process):
            if process:
                process.kill()
        self.client.stop()
        self.zookeeper.stop(signal.SIGKILL)
        for task in self.tasks.values():
            task.close()


MISSING = object()


def changed(document, path, value):
    """A copy of a document with the value at `path` (keys and indices) replaced, or taken out where it is MISSING."""
    document = copy.deepcopy(document)
    *way, last = path
    holder = document
    for step in way:
        holder = holder[step]
    if value is MISSING:
        del holder[last]
    else:
        holder[last] = value
    return document
