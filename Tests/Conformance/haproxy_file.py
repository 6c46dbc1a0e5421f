"""Compares HAProxy configuration files by what they mean: sections, lines, servers, their ids and order."""

import json
import os
import re
import subprocess

import world


def load(path, default=None):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return default


def words(line):
    return " ".join(line.split())


def sections_of(text):
    """[(header, [line])]: comments and blank lines dropped, blanks squeezed."""
    out = []
    for raw in text.split("\n"):
        line = words(raw)
        if not line or line.startswith("#"):
            continue
        if raw[:1].isspace():
            if not out:
                out.append(("", []))
            out[-1][1].append(line)
        else:
            out.append((line, []))
    return out


def base_sections(conf):
    hap = conf["haproxy"]
    out = [(s, [words(x) for x in hap.get(s) or []]) for s in ("global", "defaults")]
    for title, lines in (hap.get("extra_sections") or {}).items():
        out.append((words(title), [words(x) for x in lines]))
    return out


def without_useless_cookies(sections):
    """Difference 2: `cookie VALUE` on server lines only where the backend has a `cookie` directive."""
    out = []
    for header, lines in sections:
        if header.startswith("backend ") and (not any((x.startswith("cookie ") for x in lines))):
            lines = [re.sub(" cookie \\S+", "", x) if x.startswith("server ") else x for x in lines]
        out.append((header, lines))
    return out


class Server:

    def __init__(self, line, last_weight=False):
        t = line.split()
        self.name, self.id, rest = (t[1] if len(t) > 1 else "", None, t[2:])
        if "id" in rest[:-1]:
            i = rest.index("id")
            if rest[i + 1].isdigit():
                self.id = int(rest[i + 1])
                rest = rest[:i] + rest[i + 2 :]
        if last_weight:
            weight, kept = (None, [])
            while rest:
                if rest[0] == "weight" and len(rest) > 1:
                    weight, rest = (rest[1], rest[2:])
                else:
                    kept.append(rest.pop(0))
            rest = kept + (["weight", weight] if weight else [])
        self.rest = rest


def split_lines(header, lines, last_weight=False):
    if not header.startswith("backend "):
        return (list(lines), [])
    plain = [x for x in lines if not x.startswith("server ")]
    return (plain, [Server(x, last_weight) for x in lines if x.startswith("server ")])


class Rules:
    """What the case's inputs demand about ids and order, per backend section."""

    def __init__(self, case, conf, znodes):
        self.order, self.given = ({}, {})
        self.max_id = (
            int(conf["haproxy"].get("max_server_id", 65535)) if isinstance(conf.get("haproxy"), dict) else 65535
        )
        state = {}
        try:
            state = load(os.path.join(case, "state.json"), {}) or {}
        except ValueError:
            pass
        services = dict(conf.get("services") or {})
        for f in (
            sorted(os.listdir(os.path.join(case, "conf.d"))) if os.path.isdir(os.path.join(case, "conf.d")) else []
        ):
            body = open(os.path.join(case, "conf.d", f)).read()
            order = re.search('backend_order"?\\s*:\\s*"?(\\w+)', body)
            services[f.rsplit(".", 1)[0]] = {"haproxy": {"backend_order": order.group(1) if order else None}}
        for name, svc in services.items():
            hap = svc.get("haproxy") or {}
            discovery = svc.get("discovery") or {}
            generator = discovery.get("generator_config_path") or discovery.get("path")
            orders = {hap.get("backend_order")}
            try:
                remote = json.loads(znodes.get(generator) or "null")
                if isinstance(remote, dict) and isinstance(remote.get("haproxy"), dict):
                    orders.add(remote["haproxy"].get("backend_order"))
            except ValueError:
                pass
            copies = (
                ["%s_%d" % (name, i) for i in range(svc["load_test_concurrency"])]
                if svc.get("load_test_concurrency")
                else [name]
            )
            given = {
                s: e["haproxy_server_id"]
                for s, e in (state.get(name) or {}).items()
                if isinstance(e, dict) and e.get("haproxy_server_id")
            }
            for d in svc.get("default_servers") or []:
                if d.get("haproxy_server_id"):
                    given[server_name(d)] = int(d["haproxy_server_id"])
            for path, data in znodes.items():
                if data and path.startswith(str(discovery.get("path")) + "/"):
                    try:
                        d = json.loads(data)
                        m = re.search("(?:^| )id (\\d+)(?: |$)", d.get("haproxy_server_options") or "")
                        if m:
                            given[server_name(d)] = int(m.group(1))
                    except (ValueError, AttributeError, TypeError):
                        pass
            for copy in copies:
                header = "backend " + (hap.get("backend_name") or copy)
                self.order[header] = orders
                self.given[header] = given

    def exact_order(self, header):
        return bool(self.order.get(header, set()) & {"asc", "desc", "no_shuffle"})

    def is_no_shuffle(self, header):
        return "no_shuffle" in self.order.get(header, set())


def server_name(d):
    host_port = "%s:%s" % (d.get("host"), d.get("port"))
    return "%s_%s" % (d["name"], host_port) if d.get("name") else host_port


def compare_sections(actual, expected, rules, accept, previous_ids):
    """None, or the first difference. previous_ids: header -> {server: id} of the step before."""
    names_a, names_e = ([h for h, _ in actual], [h for h, _ in expected])
    if names_a != names_e:
        return "sections %s, expected %s" % (names_a, names_e)
    last_weight = bool(accept and accept.last_weight_counts)
    optional_server = re.compile(accept.optional_servers) if accept and accept.optional_servers else None
    for (header, lines_a), (_, lines_e) in zip(actual, expected):
        plain_a, servers_a = split_lines(header, lines_a, last_weight)
        plain_e, servers_e = split_lines(header, lines_e, last_weight)
        optional = set(accept.optional_lines.get(header, ())) if accept else set()
        plain_a = [x for x in plain_a if x not in optional or x in plain_e]
        if plain_a != plain_e:
            extra = [x for x in plain_a if x not in plain_e]
            missing = [x for x in plain_e if x not in plain_a]
            return "[%s] %s" % (
                header,
                (
                    "extra %s, missing %s" % (extra, missing)
                    if extra or missing
                    else "order of lines %s, expected %s" % (plain_a, plain_e)
                ),
            )
        if optional_server:
            present = {s.name for s in servers_a}
            servers_e = [s for s in servers_e if s.name in present or not optional_server.search(s.name)]
        order_a, order_e = ([s.name for s in servers_a], [s.name for s in servers_e])
        if sorted(order_a) != sorted(order_e):
            return "[%s] servers %s, expected %s" % (header, order_a, order_e)
        sorted_too = rules.is_no_shuffle(header) and order_a in (sorted(order_a), stable_cached_first(servers_a))
        if rules.exact_order(header) and order_a != order_e and not sorted_too:
            return "[%s] order %s, expected %s" % (header, order_a, order_e)
        by_name = {s.name: s for s in servers_e}
        repeated = len(by_name) != len(servers_e)
        if repeated and sorted(((s.name, s.rest) for s in servers_a)) != sorted(
            ((s.name, s.rest) for s in servers_e)
        ):
            return "[%s] server lines differ" % header
        for s in servers_a:
            if not repeated and s.rest != by_name[s.name].rest:
                return "[%s] server %s: %r, expected %r" % (
                    header,
                    s.name,
                    " ".join(s.rest),
                    " ".join(by_name[s.name].rest),
                )
        if repeated:
            continue
        if problem := compare_ids(
            header, servers_a, by_name, rules, previous_ids.get(header, {}), bool(optional_server) or bool(accept)
        ):
            return "[%s] %s" % (header, problem)
    return None


def stable_cached_first(servers):
    """no_shuffle with a state file: remembered servers may come first, each part sorted."""
    gone = sorted((s.name for s in servers if "disabled" in s.rest))
    return gone + sorted((s.name for s in servers if "disabled" not in s.rest))


def compare_ids(header, servers, expected, rules, previous, own_expectation):
    if not header.startswith("backend ") or header not in rules.given:
        return None
    ids = [s.id for s in servers if s.id is not None]
    if len(set(ids)) != len(ids):
        return "ids not unique: %s" % {s.name: s.id for s in servers}
    given = rules.given[header]
    for s in servers:
        if s.name in given and s.id != given[s.name]:
            return "server %s has id %s, its state file, registration or options give %s" % (
                s.name,
                s.id,
                given[s.name],
            )
        if (
            previous.get(s.name) is not None
            and s.id is not None
            and (s.id != previous[s.name])
            and (s.name not in given)
        ):
            return "server %s changed its id from %s to %s" % (s.name, previous[s.name], s.id)
        if s.id is not None and s.name not in given and (not 1 <= s.id <= rules.max_id):
            return "server %s has id %s, above max_server_id %s" % (s.name, s.id, rules.max_id)
    wanted = len(servers) if own_expectation else sum((e.id is not None for e in expected.values()))
    wanted = min(wanted, rules.max_id)
    if len(ids) != wanted:
        return "%d of %d servers have an id, expected %d" % (len(ids), len(servers), wanted)
    return None


def check(path, cwd=None):
    """(valid, complaint) of `haproxy -c`. A file without any listener counts as valid: HAProxy has no error in it."""
    run = subprocess.run(
        [world.HAPROXY, "-c", "-f", path], cwd=cwd, capture_output=True, text=True, errors="replace", timeout=60
    )
    output = run.stdout + run.stderr
    if run.returncode == 0 or (run.returncode == 2 and "no listener" in output and "ALERT" not in output):
        return True, ""
    alerts = [line for line in output.splitlines() if "ALERT" in line] or output.splitlines()[-1:]
    return False, "; ".join(alerts)[:300]
