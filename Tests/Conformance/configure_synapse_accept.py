"""Where our answer to a recorded case is not upstream's: what is right, and why (numbers of docs/compatibility.md)."""

import copy

ONLY, SERVICE_FILE = "service_three.main", "service_three/smartstack.yaml"
BAD = (ONLY, SERVICE_FILE)
LEFT_OUT = "11: a bad service is named and skipped; upstream dies and writes nothing"
EMPTY = "13: upstream writes {} for everything; this service is skipped and named"
HOST = "11: the host or an option is at fault: nothing is written, nothing restarted"
NO_TARGET = "13: the target of proxied_through is not there: its five lines are skipped, service and target named"


def named(outcome, names):
    return [f"standard error does not name {name}" for name in names if name not in outcome["stderr"]]


def plain(common, *services):
    """The file for plain services (name, port) that are discovered in their region."""
    from configure_synapse import expected

    frontend = [f"capture request header X-B3-{name} len 64" for name in ("SpanId", "TraceId", "ParentSpanId")]
    frontend += [f"capture request header X-B3-{name} len 10" for name in ("Flags", "Sampled")]
    case = {"services": {}, "haproxy": {"+defaults": [common["tarpit"]]} if services else {}}
    for name, port in services:
        sockets = f"/var/run/synapse/sockets/{name}"
        case["services"][name] = {
            "discovery": [name, "region:uswest1-prod"],
            "haproxy": {
                "backend": [
                    f"option httpchk GET /http/{name}/0/status",
                    "http-check send-state",
                    f"acl to_be_tarpitted hdr_sub(X-Ctx-Tarpit) -i {name}",
                    "reqtarpit . if to_be_tarpitted",
                ],
                "backend_name": name,
                "frontend": frontend
                + [
                    "option httplog",
                    f"bind {sockets}.sock",
                    f"bind {sockets}.prxy accept-proxy",
                    f"acl {name}_has_connslots connslots({name}) gt 0",
                    f"use_backend {name} if {name}_has_connslots",
                ],
                "port": str(port),
            },
        }
    return expected(case, common)


def writes(services, names, status):
    """The file holds exactly these plain services; standard error has every name."""

    def check(case, outcome, common):
        from configure_synapse import RESTART, compare

        return compare(plain(common, *services), outcome, RESTART, status) + named(outcome, names)

    return check


def refuses(*names):
    def check(case, outcome, common):
        problems = [] if outcome["status"] == 1 else [f"exit status {outcome['status']}, expected 1"]
        if outcome["text"] != outcome["before"]:
            problems.append("the file was changed")
        if outcome["calls"]:
            problems.append(f"commands were run: {outcome['calls']}")
        return problems + named(outcome, names)

    return check


def not_proxied(target):
    """The recorded file without the lines of proxied_through."""

    def check(case, outcome, common):
        from configure_synapse import RESTART, compare, expected

        case = copy.deepcopy(case)
        for service in case["services"].values():
            lines = service["haproxy"].get("frontend", [])
            for i, line in enumerate(lines):
                if line == f"acl request_from_proxy hdr_beg(X-Smartstack-Source) -i {target}":
                    del lines[i - 1 : i + 4]
                    break
        return compare(expected(case, common), outcome, RESTART) + named(outcome, (ONLY, SERVICE_FILE, target))

    return check


def as_http(case, outcome, common):
    from configure_synapse import RESTART, compare

    return compare(plain(common, (ONLY, 20060)), outcome, RESTART)


def drops_type(case, outcome, common):
    """The recorded file; the unknown type is named, and the exit status tells of it."""
    from configure_synapse import RESTART, compare, expected

    return compare(expected(case, common), outcome, RESTART, 3) + named(outcome, BAD + ("galaxy",))


def drops_balance(case, outcome, common):
    """The recorded file; the value is named, and the exit status tells of it."""
    from configure_synapse import RESTART, compare, expected

    return compare(expected(case, common), outcome, RESTART, 3) + named(outcome, BAD + ("main.balance",))


GOOD = [("aaa_good.main", 20001)]
ACCEPT = {
    "advertise_invalid_type_dropped": (drops_type, "11: the unknown type is dropped, as upstream does, and named"),
    "balance_invalid": (drops_balance, "11: the unknown algorithm is dropped, as upstream does, and named"),
    "smartstack_yaml_empty": (writes([], (SERVICE_FILE,), 3), "13: an empty smartstack.yaml is half written, or a mistake"),
    "discover_not_in_advertise": (writes([], BAD, 3), EMPTY),
    "discover_not_in_advertise_wipes_others": (writes(GOOD, BAD, 3), EMPTY),
    "discover_null": (writes(GOOD, BAD, 3), EMPTY),
    "discover_unknown": (writes(GOOD, BAD, 3), EMPTY),
    "chaos_unknown_grouping": (writes(GOOD, BAD, 3), LEFT_OUT),
    "plugins_null": (writes(GOOD, BAD, 3), LEFT_OUT),
    "smartstack_yaml_bad": (writes(GOOD, (SERVICE_FILE,), 3), LEFT_OUT),
    "endpoint_timeouts_null": (writes([], BAD, 3), LEFT_OUT),
    "endpoint_timeouts_odd_names": (writes([], BAD + ("/sp ace",), 3), "12: an endpoint path with a blank"),
    "namespace_null": (writes([], BAD, 3), LEFT_OUT),
    "proxy_port_string": (writes([], BAD, 3), LEFT_OUT),
    "smartstack_yaml_list": (writes([], (SERVICE_FILE,), 3), LEFT_OUT),
    "timeout_string": (writes([], BAD, 3), LEFT_OUT),
    "conf_map_debug_without_port": (refuses("map_debug_port"), HOST),
    "conf_reload_cmd_fmt_bad_key": (refuses("nope", "haproxy_reload_cmd_fmt"), HOST),
    "zk_bad_port": (refuses("local.yaml", "2181"), HOST),
    "zk_missing": (refuses("local.yaml"), HOST),
    "everything": (not_proxied("px.main"), NO_TARGET),
    "plugin_all": (not_proxied("proxy.main"), NO_TARGET),
    "proxied_through_and_is_proxy": (not_proxied("other.main"), NO_TARGET),
    "proxied_through_healthcheck_uri": (not_proxied("proxy.main"), NO_TARGET),
    "proxied_through_multi_advertise": (not_proxied("proxy.main"), NO_TARGET),
    "mode_null": (as_http, "12: mode: null is http; upstream writes None into the check's path"),
}
