"""Where the recorded answer of configure_nerve or of the list of local services is not what we want, and why.

"skipped": the service is named on standard error, the others are written, exit status 3. "refused": the host or the
arguments are at fault; the cause is named, the file stays as it was, nothing is restarted, exit status 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

ONLY = "service_three.main"


@dataclass
class Accept:
    reason: str
    # nerve: the names of the services registered plainly; the list of local services: its entries.
    services: list | None = None
    # Changes the recorded answer in place.
    patch: Callable | None = None
    # Must all be named on standard error.
    names: tuple = ()
    refused: bool = False


def each(change):
    """A patch of every registration."""
    return lambda services: [change(service) for service in services.values()] and None


def with_uri(old, new):
    def change(service):
        for check in service["checks"]:
            check["uri"] = check["uri"].replace(old, new)

    return each(change)


def headers_merged(entries):
    """Tasks keep the headers of smartstack.yaml beside X-Nerve-Check-IP."""
    for name, values in entries:
        if "paasta_instance" in values and name == ONLY:
            values["extra_healthcheck_headers"]["Host"] = "www.test.com"


LEFT_OUT = Accept("a bad service is named and skipped; upstream dies and writes nothing", [], names=(ONLY,))
HOST = "the host is at fault: error exit, the old file stays"

NERVE = {
    name: LEFT_OUT
    for name in """advertise_string extra_advertise_dict_not_converted
    extra_advertise_unknown_dst_location extra_advertise_unknown_dst_type extra_advertise_unknown_src_type
    healthcheck_timeout_string port_string""".split()
} | {
    "bad_service_aborts_good_ones": Accept(LEFT_OUT.reason, ["good.main"], names=("bad.main",)),
    "advertise_unknown_type": Accept("the unknown type is dropped and named", [ONLY], names=(ONLY, "galaxy")),
    "port_missing": Accept("without a port there is nothing to register, as with a null one", []),
    "envoy_listener_name_null": Accept("a listener without a name is skipped, as one without a port is", [ONLY]),
    "input_not_json": Accept(HOST, names=("paasta_dump_locally_running_services", "JSON"), refused=True),
    "input_object": Accept(HOST, names=("paasta_dump_locally_running_services", "JSON"), refused=True),
    **{name: Accept("bad labels are named; here the active file has none", patch=lambda services: None,
                    names=(ONLY, "labels.d/service_three.main1024")) for name in ("labels_bad_yaml", "labels_not_a_dict")},
    "location_empty_file": Accept(HOST, names=("/nail/etc/region",), refused=True),
    "location_file_missing": Accept(
        "a service that asks for a type of location that the host is in none of is skipped and named", [],
        names=(ONLY, "/nail/etc/habitat")),
    "main_no_old_config": Accept("a first run without an existing file works", [ONLY]),
    "port_float": Accept("1024.0 is 1024", patch=with_uri("/1024.0/", "/1024/")),
    "weight_null": Accept("null is the default", patch=each(lambda service: service.update(weight=10))),
}

AGENT = Accept("without the agent's answer there is no list", names=("itesthost.itestdomain:5051",), refused=True)
MERGED = Accept("headers of smartstack.yaml are merged with X-Nerve-Check-IP, not overwritten", patch=headers_merged)


def left_out(*names):
    return Accept(LEFT_OUT.reason, [], names=names)


LOCAL = {
    "instance_underscore": left_out("service_three", "_hidden"),
    "mode_unknown": left_out("service_three.bad", "service_three/smartstack.yaml"),
    "registrations_invalid": left_out("service_three", "noperiod"),
    "puppet_no_namespaces_key": left_out("service_three", "puppet_services.d/service_three"),
    "puppet_not_json": left_out("service_three", "puppet_services.d/service_three"),
    "routes_bad": left_out("s.main", "/s/smartstack.yaml"),
    "extra_advertise_string_value": left_out("s.main", "/s/smartstack.yaml"),
    "puppet_bad_port_file": left_out(ONLY, "service_three/port:1:1"),
    "empty_state": Accept("an object without an agent's id and frameworks is not its state: nothing is changed",
                          names=AGENT.names, refused=True),
    "state_500": AGENT,
    "state_not_json": AGENT,
} | {
    name: MERGED
    for name in """deploy_group_templated framework_marathon_sharded instance_not_in_soa marathon_then_puppet nerve_ns
    no_ports one_running_of_two registrations_two several_ports_first_wins two_frameworks two_tasks_two_ports""".split()
}
