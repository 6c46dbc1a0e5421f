"""monitoring/ on a real Prometheus that scrapes the running agents: rules, dashboard, alerts."""
import json
import re
import signal
import urllib.parse

from example_hosts import Host
from example_stories import EXAMPLES, ROOT, WEB, Registry, expect

from checks import docs_source
from world import Trouble, wait_for

PROMETHEUS = "http://127.0.0.1:9090"
# Written by other programs than the agents; and what only a Mesos or a downtime of yesterday would show.
ELSEWHERE = re.compile(r"configure_(nerve|synapse)_|node_textfile_|hacheck_downtime_timestamp_")


def ask(host, path, **query):
    """The data of an answer of Prometheus' API."""
    text = host.must("curl", "-sf", f"{PROMETHEUS}/api/v1/{path}?{urllib.parse.urlencode(query)}")
    return json.loads(text)["data"]


def start_prometheus(host):
    """With the shipped files; only addresses and times are this world's."""
    folder = f"{ROOT}/monitoring/prometheus"
    with open(f"{folder}/scrape.yml") as file:
        text = file.read().replace("10.0.1.11:", "127.0.0.1:")
    text = text.replace("smartstack.rules.yml", f"{folder}/smartstack.rules.yml")
    host.write("/etc/prometheus/prometheus.yml", "global: {scrape_interval: 1s, evaluation_interval: 1s}\n" + text)
    return host.start("prometheus", "prometheus", "--config.file=/etc/prometheus/prometheus.yml",
                      "--storage.tsdb.path=/run/prometheus", "--web.listen-address=127.0.0.1:9090", "--log.level=warn")


def dashboard_expressions():
    with open(f"{ROOT}/monitoring/grafana/smartstack.json") as file:
        panels = json.load(file)["panels"]
    for panel in panels:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*").replace(
                "$service", ".*")


def printed_metrics(host):
    """Names of the metrics that both agents print, in a form that promtool does not criticize."""
    host.must(f"{ROOT}/monitoring/prometheus/synapse-metrics", "/run/synapse.prom")
    host.must("sh", "-c", "curl -sf http://127.0.0.1:6666/metrics > /run/nerve.prom")
    for agent in ("nerve", "synapse"):
        said = host.must("sh", "-c", f"promtool check metrics < /run/{agent}.prom")
        expect(f"promtool finds nothing wrong in the metrics of {agent}", not said, said)
    text = host.read("/run/nerve.prom") + host.read("/run/synapse.prom")
    return set(re.findall(r"^# TYPE (\w+) ", text, re.M))


def monitoring(bindir):
    """Monitoring: all metrics are printed, every panel has data, a bad registration and a dead nerve are alerted."""
    registry, host = Registry(), Host("one-host", bindir)
    host.copy(f"{EXAMPLES}/one-host", "etc")
    for port in (8001, 8002):
        host.start_task(f"task-{port}", port)
    host.start("nerve", "nerve", "-c", "/etc/nerve/nerve.conf.json")
    host.start("synapse", "synapse", "-c", "/etc/synapse/synapse.conf.json")
    host.start_haproxy()
    prometheus = start_prometheus(host)
    host.sees(WEB, ["task-8001", "task-8002"])

    known = {name for name in docs_source.metrics() if not ELSEWHERE.match(name)}
    printed = printed_metrics(host)
    expect("every metric of the sources is printed", known <= printed, sorted(known - printed))
    expect("every metric that is printed was found in the sources", printed <= known, sorted(printed - known))

    wait_for("Prometheus answers", lambda: host.run("curl", "-sf", f"{PROMETHEUS}/-/ready")[0] == 0,
             while_alive=[prometheus])
    wait_for("all three are scraped", lambda: len(ask(host, "query", query="up == 1")["result"]) == 3, pause=0.2)
    rules = [rule for group in ask(host, "rules")["groups"] for rule in group["rules"]]
    expect("the rules are loaded", len(rules) > 20, rules)
    for title, expression in dashboard_expressions():
        if ELSEWHERE.search(expression):
            ask(host, "query", query=expression)  # an error would be a Trouble
        else:
            wait_for(f"the panel '{title}' has data: {expression}",
                     lambda expression=expression: ask(host, "query", query=expression)["result"], pause=0.2)

    def active():
        return {alert["labels"]["alertname"]: alert["state"] for alert in ask(host, "alerts")["alerts"]}

    wait_for("nothing is alerted while all is well", lambda: not active(), pause=0.2)
    registry.client.create("/smartstack/web/bad_0000000099", b"no registration")
    wait_for("a bad registration raises its alert",
             lambda: active().get("SmartStackBadRegistration") == "firing", pause=0.2)
    host.processes.pop("nerve").send(signal.SIGKILL)
    wait_for("a dead nerve raises its alert", lambda: "SmartStackNerveDown" in active(), pause=0.2)
    broken = {rule["name"]: rule["lastError"] for group in ask(host, "rules")["groups"] for rule in group["rules"]
              if rule.get("lastError")}
    if broken:
        raise Trouble(f"rules that cannot be evaluated: {broken}")
