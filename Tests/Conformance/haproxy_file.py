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
        if header.startswith("backend ") and (not any(x.startswith("cookie ") for x in lines)):
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
        self.order, self.given = {}, {}
        top = conf["haproxy"] if isinstance(conf.get("haproxy"), dict) else {}
        self.max_id = int(top.get("max_server_id", 65535))
        state = remembered(case)
        for name, service in {**(conf.get("services") or {}), **service_files(case)}.items():
            haproxy, discovery = service.get("haproxy") or {}, service.get("discovery") or {}
            orders = {haproxy.get("backend_order"), remote_order(discovery, znodes)}
            given = given_ids(state.get(name), service, discovery, znodes)
            copies = service.get("load_test_concurrency")
            for copy in ["%s_%d" % (name, i) for i in range(copies)] if copies else [name]:
                header = "backend " + (haproxy.get("backend_name") or copy)
                self.order[header], self.given[header] = orders, given

    def exact_order(self, header):
        return bool(self.order.get(header, set()) & {"asc", "desc", "no_shuffle"})

    def is_no_shuffle(self, header):
        return "no_shuffle" in self.order.get(header, set())


def remembered(case):
    """The state file the case starts with; {} when there is none that can be read."""
    try:
        return load(os.path.join(case, "state.json"), {}) or {}
    except ValueError:
        return {}


def service_files(case):
    """Services of service_conf_dir, as far as the rules need them: JSON or YAML, hence the pattern."""
    folder, found = os.path.join(case, "conf.d"), {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        with open(os.path.join(folder, name)) as file:
            order = re.search(r'backend_order"?\s*:\s*"?(\w+)', file.read())
        found[name.rsplit(".", 1)[0]] = {"haproxy": {"backend_order": order.group(1) if order else None}}
    return found


def remote_order(discovery, znodes):
    """backend_order of the configuration that the registry itself holds for a service."""
    try:
        remote = json.loads(znodes.get(discovery.get("generator_config_path") or discovery.get("path")) or "null")
        return remote["haproxy"].get("backend_order")
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def given_ids(state, service, discovery, znodes):
    """{server name: id} that the state file, the default servers or a registration's own options ask for."""
    given = {
        server: entry["haproxy_server_id"]
        for server, entry in (state or {}).items()
        if isinstance(entry, dict) and entry.get("haproxy_server_id")
    }
    for server in service.get("default_servers") or []:
        if server.get("haproxy_server_id"):
            given[server_name(server)] = int(server["haproxy_server_id"])
    for path, data in znodes.items():
        if not data or not path.startswith(str(discovery.get("path")) + "/"):
            continue
        try:
            registration = json.loads(data)
            options = re.search(r"(?:^| )id (\d+)(?: |$)", registration.get("haproxy_server_options") or "")
        except (ValueError, AttributeError, TypeError):
            continue
        if options:
            given[server_name(registration)] = int(options.group(1))
    return given


def server_name(d):
    host_port = "%s:%s" % (d.get("host"), d.get("port"))
    return "%s_%s" % (d["name"], host_port) if d.get("name") else host_port


def compare_sections(actual, expected, rules, accept, previous_ids):
    """None, or the first difference. previous_ids: header -> {server: id} of the step before."""
    ours, theirs = [header for header, _ in actual], [header for header, _ in expected]
    if ours != theirs:
        return "sections %s, expected %s" % (ours, theirs)
    for (header, lines), (_, wanted) in zip(actual, expected):
        if problem := compare_section(header, lines, wanted, rules, accept, previous_ids.get(header, {})):
            return "[%s] %s" % (header, problem)
    return None


def compare_section(header, lines, wanted_lines, rules, accept, previous_ids):
    last_weight = bool(accept and accept.last_weight_counts)
    plain, servers = split_lines(header, lines, last_weight)
    wanted_plain, wanted = split_lines(header, wanted_lines, last_weight)
    optional = accept.optional_lines.get(header, ()) if accept else ()
    if problem := compare_lines([x for x in plain if x not in optional or x in wanted_plain], wanted_plain):
        return problem
    if accept and accept.optional_servers:
        present = {s.name for s in servers}
        wanted = [s for s in wanted if s.name in present or not re.search(accept.optional_servers, s.name)]
    if problem := compare_servers(header, servers, wanted, rules):
        return problem
    by_name = {s.name: s for s in wanted}
    if len(by_name) != len(wanted):
        return None  # a name that stands twice has no id to speak of
    return compare_ids(header, servers, by_name, rules, previous_ids, own_expectation=bool(accept))


def compare_lines(lines, wanted):
    if lines == wanted:
        return None
    extra, missing = [x for x in lines if x not in wanted], [x for x in wanted if x not in lines]
    if extra or missing:
        return "extra %s, missing %s" % (extra, missing)
    return "order of lines %s, expected %s" % (lines, wanted)


def compare_servers(header, servers, wanted, rules):
    """Names, order where the case fixes it, and options."""
    names, wanted_names = [s.name for s in servers], [s.name for s in wanted]
    if sorted(names) != sorted(wanted_names):
        return "servers %s, expected %s" % (names, wanted_names)
    sorted_too = rules.is_no_shuffle(header) and names in (sorted(names), stable_cached_first(servers))
    if rules.exact_order(header) and names != wanted_names and not sorted_too:
        return "order %s, expected %s" % (names, wanted_names)
    for one, other in zip(*(sorted(some, key=lambda s: (s.name, s.rest)) for some in (servers, wanted))):
        if one.rest != other.rest:
            return "server %s: %r, expected %r" % (one.name, " ".join(one.rest), " ".join(other.rest))
    return None


def stable_cached_first(servers):
    """no_shuffle with a state file: remembered servers may come first, each part sorted."""
    gone = sorted(s.name for s in servers if "disabled" in s.rest)
    return gone + sorted(s.name for s in servers if "disabled" not in s.rest)


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
    wanted = len(servers) if own_expectation else sum(e.id is not None for e in expected.values())
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
