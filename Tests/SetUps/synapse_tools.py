"""What synapse-tools is tried with, on three hosts: this one, one next door (another habitat of the region), and one in
another region. The original has one host and writes the registrations itself; here nerve of each host does."""
import json
import os
import socket

from world import Trouble

HOST = "itesthost.itestdomain"
HERE = {"ecosystem": "my_ecosystem", "superregion": "my_superregion", "region": "my_region", "habitat": "my_habitat"}
HOSTS = {
    "here": (HOST, "10.0.0.1", HERE),
    "next door": ("nextdoor.itestdomain", "10.0.0.2", {**HERE, "habitat": "another_habitat"}),
    "far": ("faraway.itestdomain", "10.0.0.3", {**HERE, "region": "another_region", "habitat": "far_habitat"})}
MAPPING = {"my_ecosystem_ecosystem": {"my_superregion_superregion": {
    "my_region_region": {"my_habitat_habitat": {}, "another_habitat_habitat": {}},
    "another_region_region": {"far_habitat_habitat": {}}}}}
THREE = {"retries": 2, "routes": [{"source": "another_habitat", "destinations": ["my_habitat"]}],
         "timeout_connect_ms": 10_000, "timeout_server_ms": 11_000, "healthcheck_uri": "/my_healthcheck_endpoint",
         "allredisp": False}
# service: (its port, its namespaces)
SERVICES = {
    "service_one": (1025, {"main": {
        "mode": "tcp", "proxy_port": 20028, "timeout_connect_ms": 10_000, "timeout_server_ms": 11_000,
        "timeout_client_ms": 12_000, "discover": "region"}}),
    "service_two": (1999, {"main": {
        "proxy_port": 20090, "retries": 2, "timeout_connect_ms": 10_000, "timeout_server_ms": 11_000,
        "healthcheck_uri": "/lil_brudder", "discover": "habitat", "advertise": ["habitat"],
        "extra_headers": {"X-Mode": "ro"}, "extra_healthcheck_headers": {"X-Mode": "ro"},
        "plugins": {"source_required": {"enabled": True}}}}),
    "service_three": (1024, {
        "main": {**THREE, "proxy_port": 20060, "discover": "habitat", "advertise": ["habitat", "region"]},
        "logging": {**THREE, "proxy_port": 20050, "discover": "habitat", "advertise": ["habitat"],
                    "plugins": {"logging": {"enabled": True, "sample_rate": 1}}}}),
    "service_three_chaos": (1024, {"main": {
        **THREE, "proxy_port": 20061, "discover": "region",
        "chaos": {"ecosystem": {"my_ecosystem": {"fail": "error_503"}}}}}),
    "service_three_endpoint_timeout": (1024, {"main": {
        **THREE, "proxy_port": 20070, "discover": "habitat", "advertise": ["habitat", "region"],
        # Half a second, so that an answer that takes longer shows which time-out counts.
        "timeout_server_ms": 500, "endpoint_timeouts": {"/example/endpoint": 10_000}}})}
OPTIONS = {"config_file": "/etc/synapse/synapse.conf.json", "bind_addr": "0.0.0.0", "stats_port": 32123,
           "haproxy.defaults.inter": "10s", "haproxy_restart_interval_s": 2, "haproxy_path": "/usr/sbin/haproxy",
           "maximum_connections": 1000}
MANAGED = {
    "service_three.main", "service_three.main.region", "service_one.main", "service_three_chaos.main",
    "service_two.main", "service_three.logging", "service_three_endpoint_timeout.main",
    "service_three_endpoint_timeout.main.__example__endpoint_timeouts", "service_three_endpoint_timeout.main.region",
    "service_three_endpoint_timeout.main.region.__example__endpoint_timeouts"}


def run(trial):
    hosts = {where: trial.machine(*facts) for where, facts in HOSTS.items()}
    for where, host in hosts.items():
        set_up_nerve(host, where)
    register(trial)
    here = hosts["here"]
    serve(trial, here)
    discover(trial, here)
    plugins(trial, here)
    drain(trial, here, hosts["next door"])
    change(trial, here)


def set_up_nerve(host, where):
    soa = "/nail/etc/services"
    host.put(f"{soa}/location_types.json", '["ecosystem", "superregion", "region", "habitat"]')
    host.put(f"{soa}/location_mapping.json", json.dumps(MAPPING))
    for name in ("my_superregion", "local"):
        host.put(f"/nail/etc/zookeeper_discovery/infrastructure/{name}.yaml", "[['zookeeper_1', 2181]]\n")
    # Other headers of a check are hacheck's, not the service's.
    host.put("/etc/hacheck.yaml", "http_headers_to_copy: [Host, X-Mode]\n")
    os.makedirs(host.path("/etc/nerve/puppet_services.d"))
    for service, (port, namespaces) in SERVICES.items():
        host.put(f"{soa}/{service}/smartstack.yaml", json.dumps(namespaces, indent=1))
        host.put(f"{soa}/{service}/port", f"{port}\n")
        host.put(f"/etc/nerve/puppet_services.d/{service}", json.dumps({"namespaces": list(namespaces)}))
    host.start_task(where, "1024", "--slow", "0.8", "/example/endpoint", "--slow", "0.8", "/else")
    host.start_task(where, "1025")
    host.start_task(where, "1999", "--needs", "X-Mode=ro", "/lil_brudder")
    host.command("configure_nerve", "--nerve-registration-delay-s", "0")


def register(trial):
    for service, (port, namespaces) in SERVICES.items():
        for namespace, settings in namespaces.items():
            types = settings.get("advertise", ["region"])
            wanted = {(name, address, port): [tuple(sorted(f"{kind}:{place[kind]}" for kind in types))]
                      for name, address, place in HOSTS.values()}
            trial.same(f"{service}.{namespace} is registered by all three hosts, as of its {' and '.join(types)}",
                       lambda name=f"{service}.{namespace}": trial.registered(name), wanted)


def serve(trial, here):
    here.put("/etc/synapse/synapse-tools.conf.json", json.dumps(OPTIONS))
    here.put("/run/synapse/maps/ip_to_service.map", "10.10.10.1 Highlights\n127.0.0.1 Test\n")
    os.makedirs(here.path("/run/synapse/sockets"))
    here.command("configure_synapse")
    written = here.json("/etc/synapse/synapse.conf.json")["services"]
    trial.stays("synapse.conf.json has a service for each place and path", set(written), MANAGED)
    for name, label in (("service_three.main", "habitat:my_habitat"), ("service_three.main.region", "region:my_region"),
                        ("service_one.main", "region:my_region")):
        trial.stays(f"{name} is discovered by {label}", written[name]["discovery"], {
            "method": "zookeeper", "hosts": ["zookeeper_1:2181"],
            "path": "/smartstack/global/" + name.removesuffix(".region"),
            "label_filters": [{"label": label, "value": "", "condition": "equals"}]})


def discover(trial, here):
    for service, port, path, wanted in (
            ("service_three.main", 20060, "/my_healthcheck_endpoint", {"here"}),
            ("service_three.logging", 20050, "/my_healthcheck_endpoint", {"here"}),
            ("service_two.main", 20090, "/lil_brudder", {"here"}),
            ("service_one.main", 20028, "/", {"here", "next door"}),
            ("service_three_chaos.main", 20061, "/my_healthcheck_endpoint", {503})):
        trial.same(f"{service} on port {port} is answered by {', '.join(map(str, sorted(wanted, key=str)))} alone",
                   lambda port=port, path=path: here.answering(port, path, times=10), wanted)
    trial.same("the region's servers stand ready behind the habitat's",
               lambda: here.in_rotation("service_three.main.region"), {"10.0.0.1:1024", "10.0.0.2:1024"})
    trial.stays("HAProxy's file knows nothing of the other region", "10.0.0.3" in here.read("/run/synapse/haproxy.cfg"),
                False)
    trial.same("a path with a time-out of its own gets it", lambda: here.ask(20070, "/example/endpoint")[:2], (200, "here"))
    trial.same("another path gets the service's", lambda: here.ask(20070, "/else")[0], 504)


def plugins(trial, here):
    trial.stays("the stats page has the server under its name, with a check that passed", any(
        row.startswith(f"service_three.main,{HOST}_10.0.0.1:1024,") and ",L7OK," in row
        for row in stats(trial, here)), True)
    trial.same("the file for clients without a proxy has the server", lambda: [
        (one["name"], one["host"], one["port"]) for one in here.json("/run/synapse/services/service_two.main.json")],
        [(HOST, "10.0.0.1", 1999)])
    trial.same("of a service in chaos it is empty",
               lambda: here.json("/run/synapse/services/service_three_chaos.main.json"), [])
    with here.network():
        log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    log.bind(("127.0.0.1", 1514))
    log.settimeout(0.2)
    trial.holds("requests of service_three.logging are logged with the names of client and service", lambda: logged(here, log))
    log.close()


def stats(trial, here):
    """The rows of the stats page, once HAProxy has checked the server."""
    def rows():
        return here.ask(32123, "/;csv")[2].splitlines()

    trial.holds("HAProxy's own check of service_three was answered by hacheck",
                lambda: any(",L7OK," in row for row in rows() if row.startswith("service_three.main,")))
    return rows()


def logged(here, log):
    here.ask(20050, "/my_healthcheck_endpoint")
    seen = []
    try:
        while True:
            seen.append(log.recv(65536).decode(errors="replace"))
    except TimeoutError:
        pass
    return any("provenance Test service_three.logging" in line for line in seen) or seen


def drain(trial, here, next_door):
    here.command("hadown", "service_three.main")
    trial.same("hadown: this host's task is out, and the region's other habitat takes over",
               lambda: here.answering(20060, "/my_healthcheck_endpoint"), {"next door"})
    next_door.command("hadown", "service_three.main")
    trial.same("with that one drained, too, nobody answers: the other region is never asked",
               lambda: here.answering(20060, "/my_healthcheck_endpoint"), {503})
    for host in (here, next_door):
        host.command("haup", "service_three.main")
    trial.same("haup: the habitat's task again", lambda: here.answering(20060, "/my_healthcheck_endpoint"), {"here"})


def change(trial, here):
    here.calls()
    pids = here.pid_of("nerve"), here.pid_of("synapse")
    watches = []
    for tool in ("configure_nerve", "configure_synapse"):
        watches.append(here.start(tool, "--watch", name=tool))
        watches[-1].tool = tool
    soa = "/nail/etc/services/service_new"
    here.start_task("new", "1030")
    here.put(f"{soa}/port", "1030\n")
    here.put("/etc/nerve/puppet_services.d/service_new", '{"namespaces": ["main"]}')
    here.put(f"{soa}/smartstack.yaml", "main: {proxy_port: 20100, advertise: [habitat], discover: habitat}\n")
    trial.same("--watch: a service that is new is registered and served on its port", lambda: here.answering(20100), {"new"})
    here.put(f"{soa}/smartstack.yaml", "main: {proxy_port: 20101, advertise: [habitat], discover: habitat}\n")
    trial.same("--watch: it moves to another port", lambda: here.answering(20101), {"new"})
    before = {path: here.read(path) for path in ("/etc/synapse/synapse.conf.json", "/etc/nerve/nerve.conf.json")}
    here.put(f"{soa}/smartstack.yaml", "main: {proxy_port: 20101, adver")
    for watch in watches:
        trial.holds(f"{watch.tool}: half a file is named",
                    lambda watch=watch: "service_new/smartstack.yaml:" in watch.output() or watch.output()[-500:])
    trial.stays("and changes nothing", {path: here.read(path) for path in before}, before)
    os.unlink(here.path("/etc/nerve/puppet_services.d/service_new"))
    os.unlink(here.path(f"{soa}/smartstack.yaml"))
    trial.same("--watch: a service that goes is registered no more, and its port is closed",
               lambda: (trial.registered("service_new.main"), here.answering(20101)), ({}, {0}))
    trial.stays("all of that by SIGHUP: nobody was restarted", (here.pid_of("nerve"), here.pid_of("synapse"), here.calls()),
                (*pids, []))
    for watch in watches:
        watch.send(15)
        if watch.wait(20) != 0:
            raise Trouble(f"a watch ended with {watch.status}:\n" + watch.output())
