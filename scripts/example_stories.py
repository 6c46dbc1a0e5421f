"""What is tried of each example: the steps of its README, and what has to come of them."""
import json
import os
import re
import signal

from example_hosts import ROUTER, Host

import world
from world import Trouble, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXAMPLES, NAGIOS = f"{ROOT}/examples", f"{ROOT}/monitoring/nagios/check-agent"
WEB = f"http://{world.SYNAPSE_ADDRESS}:20001/"


def expect(what, is_true, *shown):
    if not is_true:
        raise Trouble("\n  ".join([f"not so: {what}", *map(str, shown)]))


class Registry:
    """A ZooKeeper, and a client of it that plays programs which are not here."""

    def __init__(self, for_all=False):
        self.server = world.ZooKeeperServer(f"{world.scratch()}/zookeeper", tick_ms=500,
                                            bind="0.0.0.0" if for_all else "127.0.0.1").start()
        self.client = world.zookeeper_client()

    def register(self, folder, name, host, port, **more):
        """A registration as upstream's nerve makes it: ephemeral, numbered, the keys in its order."""
        data = json.dumps({"host": host, "port": port, "name": name, **more}, separators=(",", ":"))
        return self.client.create(f"{folder}/{name}_", data.encode(), ephemeral=True, sequence=True, makepath=True)

    def children(self, folder):
        names = sorted(self.client.get_children(folder))
        return {name: self.client.get(f"{folder}/{name}")[0].decode() for name in names}


def one_host(bindir):
    """One host: both tasks answer; one is drained and comes back; Nagios' checks say what is so."""
    Registry()
    host = Host("one-host", bindir)
    host.copy(f"{EXAMPLES}/one-host", "etc")
    for port in (8001, 8002):
        host.start_task(f"task-{port}", port)
    host.start("nerve", "nerve", "-c", "/etc/nerve/nerve.conf.json")
    host.start("synapse", "synapse", "-c", "/etc/synapse/synapse.conf.json")
    host.start_haproxy()
    host.sees(WEB, ["task-8001", "task-8002"])

    host.must("hadown", "-r", "trying", "-P", "8001", "web")
    host.sees(WEB, ["task-8002"])
    status = host.must("nerve", "status", "-c", "/etc/nerve/nerve.conf.json", status=1)
    expect("nerve status names the drained task", re.search(r"^web:8001 +drained", status, re.M), status)
    warning = host.must(NAGIOS, "nerve", status=1)
    expect("the check names it", warning.startswith("WARNING: ") and "web:8001 drained" in warning, warning)
    host.must("haup", "-P", "8001", "web")
    host.sees(WEB, ["task-8001", "task-8002"])

    wait_for("the check of nerve is content", lambda: host.run(NAGIOS, "nerve")[0] == 0)
    wait_for("the check of synapse is content", lambda: host.run(NAGIOS, "synapse")[0] == 0)
    host.processes["synapse"].send(signal.SIGTERM)
    host.processes["synapse"].wait(20)
    critical = host.must(NAGIOS, "synapse", status=2)
    expect("without synapse the check is critical", critical.startswith("CRITICAL: "), critical)
    expect("HAProxy goes on without synapse", host.answers(WEB) == {"task-8001", "task-8002"})
    expect("a word too many is a usage error", host.run(NAGIOS, "nonsense")[0] == 3)


def configure_and_start(host, *arguments):
    """A host's first configuration, and the agents on it. HAProxy is started by synapse's reload command."""
    host.must("configure_nerve", "--reload", "none", *arguments)
    host.must("configure_synapse", "--reload", "none")
    host.start("nerve", "nerve", "-c", "/etc/nerve/nerve.conf.json")
    host.start("synapse", "synapse", "-c", "/etc/synapse/synapse.conf.json")


def region(bindir):
    """A region: clients stay in their habitat, get the region's servers when it is out, and come back."""
    Registry(for_all=True)
    hosts = []
    for number, habitat in enumerate(("west-a", "west-b", "west-c"), 1):
        host = Host(f"host-{habitat}", bindir, f"10.0.1.{number}")
        host.copy(f"{EXAMPLES}/region", "nail", "etc")
        host.write("/nail/etc/habitat", habitat + "\n")
        if habitat == "west-c":
            os.remove(host.path("/etc/nerve/puppet_services.d/web"))
        else:
            host.start_task(habitat, 8001)
        configure_and_start(host, "--services-source", "static:/etc/nerve/puppet_services.d")
        hosts.append(host)
    a, b, c = hosts
    a.sees(WEB, ["west-a"])
    b.sees(WEB, ["west-b"])
    c.sees(WEB, ["west-a", "west-b"])
    a.must("hadown", "-r", "the whole habitat is out", "web.main")
    a.sees(WEB, ["west-b"])
    a.must("haup", "web.main")
    a.sees(WEB, ["west-a"])
    b.sees(WEB, ["west-b"])

    # Another port for clients: the running agent is notified.
    settings = a.read("/nail/etc/services/web/smartstack.yaml")
    a.write("/nail/etc/services/web/smartstack.yaml", settings.replace("20001", "20009"))
    said = a.must("configure_synapse")
    expect("synapse was told by a signal", "SIGHUP to synapse" in said, said)
    a.sees(WEB.replace("20001", "20009"), ["west-a"])


def canary_and_shards(bindir):
    """Canary and shard: both answer in the pool of web.main, the shard by its own name too; a canary is taken out."""
    Registry(for_all=True)
    host = Host("agent-1", bindir, "10.0.1.1")
    host.copy(f"{EXAMPLES}/canary-and-shards", "nail", "etc")
    ports = {"main": 31001, "shard_a": 31002, "canary": 31003}
    for instance, port in ports.items():
        host.start_task(instance, port)
    host.write("/srv/mesos/state", json.dumps({"id": "S1", "frameworks": [{"name": "marathon", "executors": [
        {"id": f"web.{instance.replace('_', '--')}.git1.config1.{port}", "resources": {"ports": f"[{port}-{port}]"},
         "tasks": [{"state": "TASK_RUNNING"}]} for instance, port in ports.items()]}]}))
    host.start("mesos", "python3", "-m", "http.server", "5051", "--directory", "/srv/mesos")
    wait_for("the Mesos agent is played", lambda: host.run("curl", "-sf", "http://agent-1:5051/state")[0] == 0)
    configure_and_start(host)
    host.sees(WEB, ports)
    host.sees(WEB.replace("20001", "20002"), ["shard_a"])
    host.must("hadown", "-r", "bad release", "-P", "31003", "web.main")
    host.sees(WEB, ["main", "shard_a"])
    host.sees(WEB.replace("20001", "20002"), ["shard_a"])


def ambassador(bindir):
    """Ambassador: a container that knows variables only is served, also when the server has moved."""
    registry = Registry(for_all=True)
    host = Host("docker-1", bindir, "10.0.1.1", more=["172.17.0.1"])
    container = Host("container", bindir, "172.17.0.2")
    server = Host("server", bindir, "10.0.1.2")
    server.start_task("here", 8001)
    server.start_task("there", 8002)
    first = registry.register("/smartstack/web", "here", server.address, 8001)
    host.copy(f"{EXAMPLES}/ambassador", "etc")
    links = {"ZOOKEEPER_PORT_2181_TCP_ADDR": ROUTER, "ZOOKEEPER_PORT_2181_TCP_PORT": "2181"}
    host.start("synapse", "synapse", "-c", "/etc/synapse/synapse.conf.json", env=links)
    host.start_haproxy()
    printed = host.must(f"{EXAMPLES}/ambassador/link-variables")
    variables = dict(line.split("=", 1) for line in printed.splitlines())
    with open(f"{EXAMPLES}/ambassador/README.md") as file:
        shown = [line.strip() for line in file if line.startswith("    WEB_")]
    expect("the variables are those of the README", printed.splitlines() == shown, printed)
    url = "http://{WEB_PORT_80_TCP_ADDR}:{WEB_PORT_80_TCP_PORT}/".format(**variables)
    container.sees(url, ["here"], env=variables)
    registry.register("/smartstack/web", "there", server.address, 8002)
    container.sees(url, ["here", "there"], env=variables)
    registry.client.delete(first)
    container.sees(url, ["there"], env=variables)
    host.write("/etc/synapse/links", "db 3306 database\n")
    refusal = host.must(f"{EXAMPLES}/ambassador/link-variables", status=1)
    expect("a service that synapse does not have is named", "no frontend 'database'" in refusal, refusal)


def migration(bindir):
    """Migration: both stacks in one pool; earlier downtimes hold; the old stack leaves without a reload."""
    registry, pool = Registry(for_all=True), "/smartstack/global/web.main"
    old, new = Host("old-host", bindir, "10.0.1.11"), Host("new-host", bindir, "10.0.1.12")
    old.start_task("old", 31001)
    old.start_task("old hacheck", 6666)  # answers HAProxy's checks with 200, as upstream does
    labels = {"region:west": ""}
    played = registry.register(pool, old.name, old.address, 31001, weight=10, labels=labels)
    new.copy(f"{EXAMPLES}/migration", "etc")
    for command in (["nerve", "-k", "-c", "/etc/nerve/nerve.conf.json"],
                    ["synapse", "validate", "/etc/synapse/synapse.conf.json"]):
        new.must(*command)
    new.start_task("new", 31001)
    new.start("synapse", "synapse", "-c", "/etc/synapse/synapse.conf.json")
    new.start_haproxy()
    new.sees(WEB, ["old"])

    # As upstream's hacheck left it.
    new.write("/var/spool/hacheck/web.main", '{"reason": "from before", "expiration": null, "creation": 1400000000.5}')
    new.start("nerve", "nerve", "-c", "/etc/nerve/nerve.conf.json")
    wait_for("the earlier downtime is active", lambda: "service is drained" in new.read_log("nerve"))
    shown = new.must("hashowdowned")
    expect("and shown", "from before" in shown, shown)
    expect("nothing is registered", list(registry.children(pool)) == [os.path.basename(played)])
    new.must("haup", "web.main")
    new.sees(WEB, ["old", "new"])
    nodes = registry.children(pool)
    ours, theirs = next(name for name in nodes if name.startswith(new.name)), nodes[os.path.basename(played)]
    expect("our registration is theirs with another host and name", re.fullmatch(r"new-host_\d{10}", ours)
           and nodes[ours] == theirs.replace(old.name, new.name).replace(old.address, new.address), nodes)
    # The original nerve still runs beside ours on the same host: two registrations, one server.
    twin = registry.register(pool, new.name, new.address, 31001, weight=10, labels=labels)
    third = registry.register(pool, "third", old.address, 6666, weight=10, labels=labels)
    wait_for("synapse has seen both", lambda: "third_10.0.1.11:6666" in new.read("/run/synapse/haproxy.cfg"),
             while_alive=new.all())
    lines = re.findall(r"^\s*server .*10\.0\.1\.12:31001 .*", new.read("/run/synapse/haproxy.cfg"), re.M)
    expect("one server stands for both", len(lines) == 1, lines)
    registry.client.delete(twin)
    registry.client.delete(third)
    new.sees(WEB, ["old", "new"])
    reloads = new.reloads()
    registry.client.delete(played)
    new.sees(WEB, ["new"])
    expect("no reload for the servers", new.reloads() == reloads, reloads)
    with open(new.path("/run/synapse/services/web.main.json")) as file:
        expect("the file for clients without a proxy follows", [s["host"] for s in json.load(file)] == [new.address])


# Reads its list at the start and at each SIGHUP, and says in a file what it has.
DAEMON = """
import os, signal
os.makedirs("/run/daemon/upstreams.d", exist_ok=True)
def read(*_):
    folder = "/run/daemon/upstreams.d"
    texts = [open(f"{folder}/{name}").read() for name in sorted(os.listdir(folder)) if name.endswith(".yaml")]
    with open("/run/daemon/has.tmp", "w") as file: file.write("".join(texts))
    os.rename("/run/daemon/has.tmp", "/run/daemon/has")
signal.signal(signal.SIGHUP, read)
read()
with open("/run/daemon/pid.tmp", "w") as file: file.write(str(os.getpid()))
os.rename("/run/daemon/pid.tmp", "/run/daemon/pid")
while True: signal.pause()
"""


def discovery_only(bindir):
    """Discovery only: JSON and YAML files follow the registry, and the daemon has read them."""
    registry, host = Registry(), Host("host", bindir)
    host.copy(f"{EXAMPLES}/discovery-only", "etc")
    host.start("daemon", "python3", "-c", DAEMON)
    wait_for("the daemon runs", lambda: host.read("/run/daemon/pid"), while_alive=host.all())
    one = registry.register("/smartstack/web", "one", "127.0.0.1", 8001, labels={"habitat:west-a": ""})
    host.start("synapse", "synapse", "-c", "/etc/synapse/synapse.conf.json")
    with open(f"{EXAMPLES}/discovery-only/README.md") as file:
        shown = re.search(r"^    - name: .*?(?=^$)", file.read(), re.M | re.S)[0].replace("\n    ", "\n")[4:]
    wait_for("the daemon has what the README shows", lambda: host.read("/run/daemon/has") == shown,
             while_alive=host.all())
    registry.register("/smartstack/web", 'a "b"', "127.0.0.1", 8003)
    registry.register("/smartstack/web", "two", "127.0.0.1", 8002)
    wait_for("it has the second", lambda: "127.0.0.1:8002" in host.read("/run/daemon/has"), while_alive=host.all())
    expect("a hostile name gets nowhere", "8003" not in host.read("/run/daemon/has"), host.read("/run/daemon/has"))
    registry.client.delete(one)
    wait_for("the first is removed", lambda: "8001" not in host.read("/run/daemon/has"), while_alive=host.all())
    servers = json.loads(host.read("/run/synapse/services/web.json"))
    expect("the JSON file says the same", [s["port"] for s in servers] == [8002], servers)


STORIES = {"one-host": one_host, "region": region, "canary-and-shards": canary_and_shards, "ambassador": ambassador,
           "migration": migration, "discovery-only": discovery_only}
