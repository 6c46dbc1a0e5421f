"""The parts of `make bench` about the tools that write configuration: a whole run, and an event until the file is there."""
import http.server
import json
import os
import subprocess
import threading
import time

from world import Trouble, wait_for

SERVICES, TASKS, AGENT_PORT = 2000, 300, 5051
COLUMNS = f"{'':>14}p50{'':>13}p99{'':>13}max{'':>11}runs"


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def write_host(folder):
    """soa-configs of 2,000 services and a location hierarchy, as a company of that size has them."""
    for number in range(SERVICES):
        service = f"{folder}/soa/service_{number}"
        put(f"{service}/smartstack.yaml", f"""---
main:
  proxy_port: {20000 + number}
  mode: http
  advertise: [region, superregion]
  discover: region
  healthcheck_uri: /status
  timeout_server_ms: 3000
  extra_advertise:
    "region:r0": ["region:r1"]
""")
        put(f"{service}/marathon-west.yaml", "main:\n  cpus: 0.1\n  mem: 512\n  instances: 3\n  deploy_group: prod.main\n")
    put(f"{folder}/soa/location_types.json", '["ecosystem", "superregion", "region", "habitat"]')
    regions = {f"r{i}_region": {f"r{i}{letter}_habitat": {} for letter in "abc"} for i in range(4)}
    put(f"{folder}/soa/location_mapping.json", json.dumps({"prod_ecosystem": {"s_superregion": regions}}))
    for kind, name in (("ecosystem", "prod"), ("superregion", "s"), ("region", "r0"), ("habitat", "r0a")):
        put(f"{folder}/etc/{kind}", name + "\n")
    put(f"{folder}/zookeeper/infrastructure/s.yaml", "".join(f"- [10.40.5.{i}, 22181]\n" for i in range(5)))
    put(f"{folder}/paasta/cluster.json", '{"cluster": "west"}')
    os.makedirs(f"{folder}/labels", exist_ok=True)
    os.makedirs(f"{folder}/static", exist_ok=True)


def agent_state(tasks):
    """What a Mesos agent says of that many tasks, with the fields that agents fill it with."""
    executors = []
    for number in range(tasks):
        name = f"service--{number}.main.gitabc12345.config1234abcd"
        task = f"{name}.8f9c1e2a-6f0c-11ea-bc55-{number:012d}"
        resources = {"ports": f"[{31000 + number}-{31000 + number}]", "cpus": 0.1, "mem": 512.0, "disk": 1024.0, "gpus": 0}
        statuses = [{"state": "TASK_RUNNING", "timestamp": 1.6e9, "container_status": {"container_id": {"value": task}}}]
        executors.append({
            "id": task, "name": f"Command Executor (Task: {task})", "source": task, "container": task,
            "directory": f"/var/lib/mesos/slaves/s1/frameworks/f1/executors/{task}/runs/1", "resources": resources,
            "tasks": [{"id": task, "name": name, "executor_id": "", "framework_id": "f1", "slave_id": "s1",
                       "state": "TASK_RUNNING", "resources": resources, "statuses": statuses,
                       "labels": [{"key": "paasta_service", "value": f"service_{number}"}]}],
            "queued_tasks": [], "completed_tasks": []})
    return {"id": "s1", "hostname": "host", "version": "1.7.2", "completed_frameworks": [],
            "frameworks": [{"id": "f1", "name": "marathon", "executors": executors, "completed_executors": []}]}


class Agent:
    """Answers every GET with the state."""

    def __init__(self, state):
        self.body = json.dumps(state).encode()
        agent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(agent.body)))
                self.end_headers()
                self.wfile.write(agent.body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", AGENT_PORT), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def arguments(folder, address="10.0.0.1", reload="none"):
    return [
        "configure_nerve", "--services-source", f"mesos:http://127.0.0.1:{AGENT_PORT}", "--services-source",
        f"static:{folder}/static", "--soa-dir", f"{folder}/soa", "--location-dir", f"{folder}/etc", "--paasta-dir",
        f"{folder}/paasta", "--zk-topology-dir", f"{folder}/zookeeper", "--labels-dir", f"{folder}/labels",
        "--nerve-config-path", f"{folder}/nerve.conf.json", "--heartbeat-path", f"{folder}/heartbeat",
        "--host-address", address, "--reload", reload]


def run_once(argv, environment=os.environ):
    """Seconds, seconds of CPU and bytes at most of one run."""
    start = time.monotonic()
    pid = os.posix_spawn(argv[0], argv, environment, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise Trouble(f"{' '.join(argv[:2])} ended with {status}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def measure_nerve(bench, nerve, folder, changes):
    table = bench.table
    table.heading(f"configure_nerve, {SERVICES} services in soa-configs, {TASKS} tasks{COLUMNS}")
    write_host(folder)
    agent = Agent(agent_state(TASKS))
    argv, config = [nerve, *arguments(folder)], f"{folder}/nerve.conf.json"
    runs = [run_once(argv) for _ in range(20)]
    table.times("a whole run", [run[0] for run in runs])
    table.times("its CPU", [run[1] for run in runs])
    table.row("its memory at most", f"{max(run[2] for run in runs) / 2**20:.1f} MiB")
    process = bench.start(*argv, "--watch", "--poll-interval", "1", name="configure_nerve")
    wait_for("the watch to have settled", lambda: time.time() - os.stat(config).st_mtime > 0.3, 30)

    def change(path, text):
        before = os.stat(config).st_ino
        put(path, text)
        start = time.monotonic()
        while os.stat(config).st_ino == before:
            if time.monotonic() - start > 30:
                raise Trouble("a change did not arrive within 30 s")
            time.sleep(0.0005)
        return time.monotonic() - start

    time.sleep(0.5)
    cpu = process.cpu_seconds()
    table.times("--watch: a file changes until the new configuration is there",
                [change(f"{folder}/labels/service_7.main31007", f"round: '{i}'\n") for i in range(changes)])
    table.row("its CPU for each", f"{1000 * (process.cpu_seconds() - cpu) / changes:.1f} ms")
    delays = []
    for i in range(20):
        before, start = os.stat(config).st_ino, time.monotonic()
        agent.body = json.dumps(agent_state(TASKS - 1 - i % 2)).encode()
        while os.stat(config).st_ino == before and time.monotonic() - start < 30:
            time.sleep(0.001)
        delays.append(time.monotonic() - start)
    table.times("--watch: Mesos has another task until it is there (asked each 1 s)", delays)
    table.row("--watch at rest", *bench.cost(process)[:2])
    agent.close()
    bench.stop_all()


def starting(state):
    """The same, but its last task is about to run."""
    changed = json.loads(json.dumps(state))
    changed["frameworks"][0]["executors"][-1]["tasks"][0]["state"] = "TASK_STAGING"
    return changed


def measure_chain(bench, nerve, folder, changes):
    """From a task's event to its znode: configure_nerve --watch, nerve with its hacheck, ZooKeeper, healthy tasks."""
    for place in ("/run", "/var/spool"):  # the usual paths, this world's own
        subprocess.run(["mount", "-t", "tmpfs", "bench", place], check=True)
    write_host(folder)
    put(f"{folder}/zookeeper/infrastructure/s.yaml", "[[127.0.0.1, 2181]]")
    put(f"{folder}/soa/service_1500/port", f"{31000 + TASKS}")
    bench.start_zookeeper()
    bench.start_server("127.0.0.1", 31000, ports=TASKS + 1)
    full, fewer = agent_state(TASKS), agent_state(TASKS - 1)
    agent = Agent(fewer)
    argv = [nerve, *arguments(folder, "127.0.0.1", "auto")]
    run_once([*argv[:-1], "none"])
    agents = [bench.start(nerve, "-c", f"{folder}/nerve.conf.json", name="nerve_chain")]
    wait_for("all tasks are registered", lambda: len(bench.zookeeper.ephemerals()) == TASKS - 1, 120, while_alive=agents)
    agents.append(bench.start(*argv, "--watch", name="configure_nerve_chain"))
    wait_for("the watch has settled", lambda: agents[1].cpu_seconds() > 0.02 and at_rest(agents[1]), 30, while_alive=agents)

    service = f"service_{TASKS - 1}.main"
    for name in ("service_1500.main", service):
        bench.client.ensure_path(f"/smartstack/global/{name}")

    def registered(service, event):
        """Seconds from the event to the znode, as another client of ZooKeeper sees it."""
        seen, moment = threading.Event(), []

        def look(_=None):
            if bench.client.get_children(f"/smartstack/global/{service}", watch=look) and not moment:
                moment.append(time.monotonic())
                seen.set()

        look()
        began = event()
        if not seen.wait(30):
            raise Trouble(f"{service} is not registered within 30 s")
        return moment[0] - began

    def gone(service):
        wait_for(f"{service} is not registered", lambda: not bench.client.get_children(f"/smartstack/global/{service}"))
        time.sleep(0.2)

    def file_event():
        # Made elsewhere: a file in the making would be a service of its own.
        put(f"{folder}/listed", '{"namespaces": ["main"]}')
        os.rename(f"{folder}/listed", f"{folder}/static/service_1500")
        return time.monotonic()

    def agent_event():
        agent.body = json.dumps(full).encode()
        return time.monotonic()

    table = bench.table
    table.heading(f"a task's event until its znode, beside {TASKS - 1} tasks, {SERVICES} services{COLUMNS}")
    delays, cpu = [], [agent.cpu_seconds() for agent in agents]
    for _ in range(changes):
        delays.append(registered("service_1500.main", file_event))
        os.unlink(f"{folder}/static/service_1500")
        gone("service_1500.main")
    table.times("a file lists it (an event)", delays)
    for process, before in zip(agents, cpu):
        # Twice as many events: what was listed goes again.
        name = "configure_nerve" if process is agents[1] else "nerve"
        table.row(f"  CPU of {name} for each", f"{1000 * (process.cpu_seconds() - before) / (2 * changes):.1f} ms")
    for what, before in (("Mesos runs it, known as starting (asked each 0.1 s)", starting(full)),
                         ("Mesos runs it, unannounced (asked each 1 s)", fewer)):
        delays = []
        for number in range(min(changes, 30)):
            agent.body = json.dumps(before).encode()
            gone(service)
            time.sleep(1.1 + number % 7 * 0.03)  # seen by then; not always the same moment between two questions
            delays.append(registered(service, agent_event))
        table.times(what, delays)


def measure_synapse(bench, synapse, folder, changes):
    """A single run reads all files; the watch knows those again that did not change."""
    table = bench.table
    table.heading(f"configure_synapse, {SERVICES} services in soa-configs{'':>29}p50{'':>13}p99{'':>13}max{'':>11}runs")
    write_host(folder)
    os.renames(f"{folder}/soa/location_types.json", f"{folder}/etc/services/location_types.json")
    config, tools = f"{folder}/synapse.conf.json", f"{folder}/synapse-tools.conf.json"
    put(tools, json.dumps({"config_file": config, "zookeeper_topology_path": f"{folder}/zookeeper/infrastructure/s.yaml"}))
    environment = dict(os.environ, SYNAPSE_TOOLS_CONFIG_PATH=tools, SOA_DIR=f"{folder}/soa")
    argv = [synapse, "configure_synapse", "--location-dir", f"{folder}/etc", "--reload", "none"]
    first = run_once(argv, environment)
    table.row("the first run, which writes", f"{1000 * first[0]:.2f} ms", f"{os.stat(config).st_size / 2**20:.1f} MiB")
    runs = [run_once(argv, environment) for _ in range(20)]
    table.times("a whole run", [run[0] for run in runs])
    table.times("its CPU", [run[1] for run in runs])
    table.row("its memory at most", f"{max(run[2] for run in [first, *runs]) / 2**20:.1f} MiB")
    process = bench.start("/usr/bin/env", f"SYNAPSE_TOOLS_CONFIG_PATH={tools}", f"SOA_DIR={folder}/soa", *argv, "--watch",
                          name="configure_synapse_watch")
    wait_for("the watch to have settled", lambda: process.cpu_seconds() > 0.05 and at_rest(process), 60)

    def change(number):
        text = open(f"{folder}/soa/service_7/smartstack.yaml").read()
        before = os.stat(config).st_ino
        put(f"{folder}/soa/service_7/smartstack.yaml", f"{text}  retries: {number}\n" if number == 0 else
            text.rsplit("  retries:", 1)[0] + f"  retries: {number}\n")
        start = time.monotonic()
        while os.stat(config).st_ino == before:
            if time.monotonic() - start > 30:
                raise Trouble("a change did not arrive within 30 s")
            time.sleep(0.0005)
        return time.monotonic() - start

    delays = []
    for number in range(min(changes, 50)):
        delays.append(change(number))
        time.sleep(0.3)
    table.times("--watch: a file changes until the new configuration is there", delays)
    table.row("--watch at rest", *bench.cost(process)[:2])


def at_rest(process):
    """Whether it used no CPU for a moment."""
    before = process.cpu_seconds()
    time.sleep(0.3)
    return process.cpu_seconds() == before
