"""A fleet: an ensemble of ZooKeepers, hosts with a network of their own, and on each host tasks, both agents, HAProxy and
steady clients. The agents' files are those that configure_nerve and configure_synapse write."""
import json
import os
import signal
import subprocess

from network import Network, make_tap

import world
from world import wait_for

# service: (the port of its tasks, its port on every host)
SERVICES = {"a": (31001, 20001), "b": (31002, 20002)}
ENSEMBLE, OTHER_ENSEMBLE = [f"10.0.0.10{n}" for n in (1, 2, 3)], [f"10.0.0.11{n}" for n in (1, 2, 3)]
OBSERVER = "10.0.0.254"
ROOT = "/smartstack/global"
PLACE = {"ecosystem": "dev", "superregion": "west", "region": "west-1", "habitat": "west-1a"}
MAPPING = {"dev_ecosystem": {"west_superregion": {"west-1_region": {"west-1a_habitat": {}}}}}
OPTIONS = {"config_file": "/etc/synapse/synapse.conf.json", "bind_addr": world.SYNAPSE_ADDRESS,
           "haproxy_path": world.HAPROXY, "haproxy_master_socket_path": "/run/synapse/haproxy-master.sock",
           "haproxy_restart_interval_s": 2, "maximum_connections": 1000}
# What docs/configuration.md advises for hosts that cannot be reached.
ADVISED = {"haproxy.defaults.timeout_check": "2s", "haproxy.defaults.observe": "layer4",
           "haproxy.defaults.on_error": "mark-down"}
HAPROXY = [world.HAPROXY, "-Ws", "-f", "/run/synapse/haproxy.cfg", "-p", "/run/synapse/haproxy.pid",
           "-S", "/run/synapse/haproxy-master.sock"]
AGENTS = {agent: [agent, "-c", f"/etc/{agent}/{agent}.conf.json"] for agent in ("nerve", "synapse")}


def names_of(addresses):
    """The registry's names, as every host has them in /etc/hosts."""
    return [(f"zk{number}", address) for number, address in enumerate(addresses, 1)]


class Host(world.Machine):
    def __init__(self, number, bindir, network, folder, options):
        self.switch, self.running, self.clients, self.options = network, {}, {}, {**OPTIONS, **options}
        super().__init__(f"host{number}", f"10.0.0.{number}", PLACE, bindir, names_of(ENSEMBLE), folder)
        self.tasks = dict.fromkeys(SERVICES)
        self.make_files()

    def wire(self):
        with self.network():
            self.switch.taps[self.name] = make_tap("eth0")

    # Files

    def make_files(self):
        soa = "/nail/etc/services"
        self.put(f"{soa}/location_types.json", json.dumps(list(PLACE)))
        self.put(f"{soa}/location_mapping.json", json.dumps(MAPPING))
        for place in (PLACE["superregion"], "local"):
            self.put(f"/nail/etc/zookeeper_discovery/infrastructure/{place}.yaml",
                     json.dumps([[name, 2181] for name, _ in names_of(ENSEMBLE)]))
        for service, (_, port) in SERVICES.items():
            self.put(f"{soa}/{service}/smartstack.yaml", json.dumps({"main": {"proxy_port": port}}))
        self.put("/etc/synapse/synapse-tools.conf.json", json.dumps(self.options))
        self.put("/etc/hacheck.yaml", json.dumps({"cache_time": 1}))
        for folder in ("nerve", "synapse"):
            os.makedirs(self.path(f"/run/{folder}"))
            # Small enough to be filled.
            self.command("mount", "-t", "tmpfs", "-o", "size=4m", folder, f"/run/{folder}")
        os.makedirs(self.path("/run/synapse/sockets"))
        os.makedirs(self.path("/etc/nerve"))

    def list_tasks(self, tasks):
        """What configure_nerve finds on this host: pairs of service and port."""
        self.put("/etc/nerve/tasks.json", json.dumps([[f"{service}.main", {"port": port}] for service, port in tasks]))

    def configure_nerve(self, tasks, reload="auto"):
        self.list_tasks(tasks)
        self.command("configure_nerve", *self.nerve_options, "--nerve-registration-delay-s", "0", "--reload", reload)

    @property
    def nerve_options(self):
        return ("--services-source", "file:/etc/nerve/tasks.json", "--host-address", self.address,
                "--heartbeat-path", "/run/heartbeat")

    # Programs

    def run(self, name, *argv):
        self.running[name] = self.start(*argv, name=name)
        self.running[name].name = f"{name} on {self.name}"
        return self.running[name]

    def start_agent(self, name):
        return self.run(name, *AGENTS[name])

    def start_haproxy(self):
        return self.run("haproxy", *HAPROXY)

    def kill(self, name):
        """SIGKILL; its files stay."""
        self.running[name].kill()

    def start_task(self, service, port):
        log = f"{self.folder}/{self.name}-task-{port}.log"
        self.running[f"task {port}"] = world.start_task(f"{service}@{self.name}", port, log, enter=self.enter)

    def start_all(self):
        for service, (port, _) in SERVICES.items():
            self.start_task(service, port)
        self.configure_nerve([(service, port) for service, (port, _) in SERVICES.items()], reload="none")
        self.start_agent("nerve")
        self.command("configure_synapse", "--reload", "none")
        self.start_agent("synapse")

    def start_clients(self):
        folder = f"{self.folder}/{self.name}-clients"
        os.makedirs(folder)
        for service, (_, port) in SERVICES.items():
            self.clients[service] = world.SteadyClient(port, folder, self.enter, connections=1, rate=10)

    # What can be seen

    def agent_status(self, agent):
        """The agent's own account of itself, or None where it gives none."""
        done = subprocess.run([*self.enter, agent, "status", "--json", "-c", AGENTS[agent][2]], env=self.environment(),
                              capture_output=True, text=True, timeout=60)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return None

    def log(self, agent):
        return self.running[agent].output()


class Fleet:
    def __init__(self, bindir, count, session, folder, options):
        self.session, self.folder, self.options = session, folder, options
        os.makedirs(folder)
        self.network = Network([OBSERVER, *ENSEMBLE, *OTHER_ENSEMBLE], folder)
        self.ensemble = self.make_ensemble(ENSEMBLE)
        for server in self.ensemble.servers:
            server.launch()
        self.hosts = [Host(number, bindir, self.network, folder, options) for number in range(1, count + 1)]
        self.network.start()
        # service: {host: port} of the tasks that are to be registered and served
        self.wanted = {service: {host.name: port for host in self.hosts} for service, (port, _) in SERVICES.items()}

    def make_ensemble(self, addresses):
        return world.Ensemble(f"{self.folder}/ensemble", addresses, tick_ms=500, max_session_ms=round(1000 * self.session))

    def start(self):
        for server in self.ensemble.servers:
            server.serves()
        for host in self.hosts:
            host.start_all()
        for host in self.hosts:
            wait_for("synapse writes HAProxy's file", lambda: os.path.exists(host.path("/run/synapse/haproxy.cfg")),
                     while_alive=host.running.values())
            host.start_haproxy()
        wait_for("all is served", lambda: not self.untrue(), 60, pause=0.2, while_alive=self.programs())
        for host in self.hosts:
            host.start_clients()

    def programs(self):
        return [process for host in self.hosts for process in host.running.values()]

    def host(self, name):
        return next(host for host in self.hosts if host.name == name)

    # What is true

    def registrations(self, server):
        """{(service, host): how many nodes} as one server has them; None while it serves nobody."""
        text = server.ask("dump", timeout=0.5)
        if "ephemeral nodes dump" not in text:
            return None
        counts = {}
        for line in text.splitlines():
            if line.startswith(f"\t{ROOT}/"):
                service, node = line.removeprefix(f"\t{ROOT}/").split("/", 1)
                key = service.removesuffix(".main"), node.partition("_")[0]
                counts[key] = counts.get(key, 0) + 1
        return counts

    def untrue(self):
        """What is not as it is wanted, in words: registrations at each server, and servers in each HAProxy."""
        found = []
        nodes = {(service, name): 1 for service, ports in self.wanted.items() for name in ports}
        for server in self.ensemble.servers:
            seen = self.registrations(server)
            if seen != nodes:
                found.append(f"{server.host} has {describe(seen)}")
        for host in self.hosts:
            for service, ports in self.wanted.items():
                wanted = {f"{self.host(name).address}:{port}" for name, port in ports.items()}
                seen = host.in_rotation(f"{service}.main")
                if seen != wanted:
                    found.append(f"{host.name} serves {service} by {sorted(seen or [])}")
        return found

    def misreported(self):
        """What the agents say of themselves that is not so."""
        found = []
        places = {line.strip() for server in self.ensemble.servers for line in server.ephemerals()}
        for host in self.hosts:
            nerve, synapse = host.agent_status("nerve"), host.agent_status("synapse")
            if not nerve or not nerve["connected"]:
                found.append(f"nerve of {host.name} says that it is not connected")
            for service in nerve["services"] if nerve else []:
                if service["place"] and service["place"] not in places:
                    found.append(f"nerve of {host.name} shows {service['place']}, which is not there")
            if not synapse or any(service["state"] != "up" or service["preserved"] for service in synapse["services"]):
                found.append(f"synapse of {host.name} does not say that all is up")
        return found

    # What changes

    def move_names(self, addresses):
        for host in self.hosts:
            host.name_others(names_of(addresses))

    def end(self):
        for process in self.programs():
            process.send(signal.SIGCONT)
            process.kill()
        for host in self.hosts:
            for client in host.clients.values():
                client.process.kill()
            os.kill(host.pid, signal.SIGKILL)
        self.ensemble.send(signal.SIGCONT)
        self.ensemble.kill()
        self.network.process.kill()


def describe(counts):
    if counts is None:
        return "no answer"
    return ", ".join(f"{service} of {host}" + (f" {count} times" if count > 1 else "")
                     for (service, host), count in sorted(counts.items())) or "nothing"
