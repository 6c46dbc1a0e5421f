"""What nerve-tools is tried with: static services of one host, one of them advertised in another superregion too."""
import json
import os

HOST, ADDRESS = "itesthost.itestdomain", "10.0.0.1"
PLACE = {"ecosystem": "dev-ecosystem", "superregion": "westcoast-dev", "region": "sjc-dev", "habitat": "dev"}
MAPPING = {
    "dev_ecosystem": {
        "westcoast-dev_superregion": {"sjc-dev_region": {"dev_habitat": {}}},
        "eastcoast-dev_superregion": {
            "useast1-dev_region": {f"useast1{letter}dev_habitat": {} for letter in "abc"}}},
    "prod_ecosystem": {
        "westcoast-prod_superregion": {
            "uswest1-prod_region": {f"uswest1{letter}prod_habitat": {} for letter in "ab"}},
        "eastcoast-prod_superregion": {
            "useast1-prod_region": {f"useast1{letter}prod_habitat": {} for letter in "abc"}}}}
DATABASE = {"proxy_port": 20085, "mode": "tcp", "timeout_client_ms": 86_400_000, "timeout_server_ms": 86_400_000,
            "timeout_connect_ms": 60_000}
# service: (its port, its namespace main)
SERVICES = {
    "service_one": (1025, {"mode": "tcp", "proxy_port": 20028, "timeout_server_ms": 3000}),
    "service_three": (1024, {
        "proxy_port": 20060, "retries": 2, "timeout_connect_ms": 1000, "timeout_server_ms": 3000, "advertise": ["region"],
        "extra_advertise": {
            # The second is none of ours: a region is more than what was asked for. The third is of another superregion.
            "superregion:westcoast-dev": ["region:uswest1-prod", "habitat:useast1adev"],
            "superregion:eastcoast-dev": ["region:useast1-dev"]},
        "extra_healthcheck_headers": {"Host": "www.test.com"}, "healthcheck_body_expect": "OK"}),
    "scribe": (1464, DATABASE), "mysql_read": (1464, {**DATABASE, "proxy_port": 20086}),
    "mysql_master": (1464, {**DATABASE, "proxy_port": 20087})}
CONFIGURE = ("configure_nerve", "-f", "/run/heartbeat", "-s", "100", "--nerve-registration-delay-s", "0")
SIGHUP = ("--nerve-executable-path", "/case/bin/nerve", "--reload-with-sighup")
HERE_AND_EXTRA = [("region:sjc-dev",), ("region:uswest1-prod",)]


def run(trial):
    host = trial.machine(HOST, ADDRESS, PLACE)
    write(host)
    host.start_task("three", "1024", "--needs", "Host=www.test.com", "/status")
    host.start_task("one", "1025")
    host.start_task("database", "1464")
    register(trial, host)
    drain(trial, host)
    restart(trial, host)
    change(trial, host)
    serve(trial, host)


def write(host):
    soa = "/nail/etc/services"
    host.put(f"{soa}/location_types.json", '["ecosystem", "superregion", "region", "habitat"]')
    host.put(f"{soa}/location_mapping.json", json.dumps(MAPPING))
    for superregion in ("westcoast-dev", "westcoast-prod"):
        host.put(f"/nail/etc/zookeeper_discovery/infrastructure/{superregion}.yaml", "[['zookeeper_1', 2181]]\n")
    os.makedirs(host.path("/etc/nerve/puppet_services.d"))
    for service, (port, main) in SERVICES.items():
        host.put(f"{soa}/{service}/smartstack.yaml", json.dumps({"main": main}, indent=1))
        host.put(f"{soa}/{service}/port", f"{port}\n")
        if service != "mysql_master":
            host.put(f"/etc/nerve/puppet_services.d/{service}", '{"namespaces": ["main"]}')
    os.symlink("/nonexistent", host.path("/etc/nerve/puppet_services.d/mysql_master"))


def everything(scribe_port=1464):
    """What is registered, by service."""
    def of(port, labels):
        return {(HOST, ADDRESS, port): labels}

    return {"service_one.main": of(1025, HERE_AND_EXTRA[:1]), "service_three.main": of(1024, HERE_AND_EXTRA),
            "scribe.main": of(scribe_port, HERE_AND_EXTRA[:1]) if scribe_port else {},
            "mysql_read.main": of(1464, HERE_AND_EXTRA[:1])}


def registered(trial):
    return {service: trial.registered(service) for service in everything()}


def register(trial, host):
    host.command(*CONFIGURE)
    trial.stays("the init system was asked to start nerve, behind the backup", host.calls(), [
        "service nerve-backup start", "service nerve stop", "service nerve start", "service nerve-backup stop"])
    names = sorted(host.json("/etc/nerve/nerve.conf.json")["services"])
    trial.stays("nerve.conf.json has each static service, and one for the extra superregion; a link to nothing is none",
                names, sorted(f"{name}:{ADDRESS}.{port}.v2.new" for name, port in (
                    ("service_three.main.westcoast-dev", 1024), ("service_three.main.westcoast-prod", 1024),
                    ("service_one.main.westcoast-dev", 1025), ("scribe.main.westcoast-dev", 1464),
                    ("mysql_read.main.westcoast-dev", 1464))))
    trial.same("all are registered under their paths, with the labels of their places and no others",
               lambda: registered(trial), everything())


def drain(trial, host):
    host.command("hadown", "all")
    trial.same("hadown all: nothing is registered any more", lambda: registered(trial), dict.fromkeys(everything(), {}))
    host.command("haup", "all")
    trial.same("haup all: everything is back", lambda: registered(trial), everything())


def restart(trial, host):
    before = host.pid_of("nerve")
    os.utime(host.path("/run/heartbeat"), (0, 0))
    host.command(*CONFIGURE)
    trial.stays("an old heartbeat: nerve is restarted", host.calls()[1:3], ["service nerve stop", "service nerve start"])
    trial.stays("it is another process", host.pid_of("nerve") != before, True)
    trial.same("and everything is registered, once", lambda: registered(trial), everything())


def change(trial, host):
    pid = host.pid_of("nerve")
    port = "/nail/etc/services/scribe/port"
    os.unlink(host.path(port))
    host.command(*CONFIGURE, *SIGHUP)
    trial.same("a service without its port is taken out, the others stay", lambda: registered(trial), everything(None))
    host.put(port, "1464\n")
    host.command(*CONFIGURE, *SIGHUP)
    trial.same("with the port it is back", lambda: registered(trial), everything())
    host.put(port, "1025\n")
    host.command(*CONFIGURE, *SIGHUP)
    trial.same("with another port it is registered there", lambda: registered(trial), everything(1025))
    trial.stays("nerve got SIGHUP each time and is the same process", host.pid_of("nerve") == pid
                and {call for call in host.calls() if "backup" not in call} == set(), True)


def serve(trial, host):
    """The other half on the same host, from the same files."""
    host.put("/etc/synapse/synapse-tools.conf.json", json.dumps({
        "config_file": "/etc/synapse/synapse.conf.json", "bind_addr": "169.254.255.254", "haproxy_path": "/usr/sbin/haproxy",
        "haproxy_restart_interval_s": 2, "maximum_connections": 1000,
        "zookeeper_topology_path": "/nail/etc/zookeeper_discovery/infrastructure/westcoast-dev.yaml"}))
    os.makedirs(host.path("/run/synapse/sockets"))
    host.command("configure_synapse")
    for service, port, task in (("service_one", 20028, "one"), ("service_three", 20060, "three")):
        trial.same(f"{service} is served on 169.254.255.254:{port}",
                   lambda port=port: host.answering(port, address="169.254.255.254"), {task})
    trial.same("HAProxy has the task once, though it is registered for another superregion, too",
               lambda: host.in_rotation("service_three.main"), {"10.0.0.1:1024"})
