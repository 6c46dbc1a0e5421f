"""Where the recorded Ruby behaviour is not what we want: our own expectation per case, with the reason.

Numbers in the reasons are those of "Deliberate differences" in docs/compatibility.md; "bad service" means: skipped and
named in the log, the others served (one healthy service is added to prove it), --check-config fails.
Differences 1 (final newline), 2 (cookie only with a cookie directive) and 4 (ids, order) are applied to every case
by haproxy_file.py and need no entry here.

A synapse expectation is a list of variants (any one may hold); a variant maps the context to the expected
sections [(header, [line, ...])]. `ctx.base` is global, defaults and extra sections of the configuration,
`ctx.golden` the recorded file after differences 1, 2 and 4.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

OPTIONS = "check inter 2s rise 3 fall 2"
THREE = ("i-1_10.0.0.1:8001", "i-2_10.0.0.2:8002", "i-3_10.0.0.3:8003")
TWO = THREE[:2]
GOOD = "zz-good"


@dataclass
class Accept:
    reason: str
    variants: tuple = ()
    names: tuple = ()
    optional_lines: dict = field(default_factory=dict)
    optional_servers: str | None = None
    add_good: bool = False
    exits: bool = False
    or_exits: str | None = None
    check_config_fails: bool = False
    file_may_be_invalid: bool = False
    last_weight_counts: bool = False


def fe(name, lines=(), bind="localhost:3213", backend=None):
    return ("frontend " + name, [*lines, "bind " + bind, "default_backend " + (backend or name)])


def be(name, servers=(), lines=(), options=OPTIONS):
    opts = options if isinstance(options, dict) else {s: options for s in servers}
    return ("backend " + name, [*lines, *["server %s %s %s" % (s, s.rsplit("_", 1)[-1], opts[s]) for s in servers]])


def service(name="service-a", servers=THREE, frontend=(), backend=(), options=OPTIONS, bind="localhost:3213"):
    return [fe(name, frontend, bind), be(name, servers, backend, options)]


def text(*sections) -> Callable:
    flat = [s for part in sections for s in (part if isinstance(part, list) else [part])]
    return lambda ctx: ctx.base + flat


def golden(ctx):
    return ctx.golden


def with_line_dropped(pattern) -> Callable:
    drop = re.compile(pattern)
    return lambda ctx: [(h, [x for x in lines if not drop.search(x)]) for h, lines in ctx.golden]


def without_service(name="service-a") -> Callable:
    return lambda ctx: ctx.base


def bad_service(reason, names=("service-a",), variants=None):
    """11: skipped and named, the others run, --check-config fails."""
    variants = variants or (without_service(),)
    return Accept("11: " + reason, variants=variants, names=names, add_good=True, check_config_fails=True)


def bad_configuration(key, reason):
    return Accept(reason, exits=True, names=(re.escape(key),), check_config_fails=True)


def bad_child(reason, variant=None):
    """3: the child is skipped, the other servers stay."""
    return Accept("3: " + reason, variants=(variant or text(service(servers=TWO)),))


_GOLDEN_ERRORS = "same as upstream: "
SYNAPSE = {
    "missing-path": bad_service("zookeeper discovery without path"),
    "unknown-method": bad_service("discovery method nobody knows", names=("service-a", "carrier_pigeon")),
    "decode-bad": bad_service("unknown decode method", names=("service-a",)),
    "server-options-badkey": bad_service(
        "server_options names a template key that does not exist", names=("service-a", "zone")
    ),
    "server-options-lone-percent": Accept(
        "11: a lone % either stands for itself or makes the service a bad one (skipped, named)",
        variants=(text(service(options="check # 50% off")), without_service()),
        add_good=True,
    ),
    "missing-config-path": bad_configuration(
        "config_file_path", _GOLDEN_ERRORS + "do_writes without config_file_path"
    ),
    "missing-socket-path": bad_configuration(
        "socket_file_path", _GOLDEN_ERRORS + "do_socket without socket_file_path"
    ),
    "frontend-string": Accept(
        "9: a string is a list of one",
        variants=(text(service("proddb", frontend=["mode tcp"], backend=["mode tcp"])),),
    ),
    "listen-string": Accept(
        "9: a string is a list of one", variants=(text(service(frontend=["mode http"], backend=["mode http"])),)
    ),
    "zk-config-no-listen": Accept(
        "27: a section in ZooKeeper is only read where generator_config_path is set", variants=(text(service()),)
    ),
    "zk-config-not-hash": Accept(
        "27: a section in ZooKeeper is only read where generator_config_path is set", variants=(text(service()),)
    ),
    "zk-config-path": Accept(
        "27: the port is not the registry's to say; lines and options are added to the configured ones",
        variants=(text(service(frontend=["timeout client 7s"], options=OPTIONS + " check inter 9s")),),
    ),
    "leader-election-no-id": Accept(
        "Ruby falls through to all servers within 30 s of its own warning; no leader (nobody) is what is documented; both pass",
        variants=(golden, text(service(servers=()))),
    ),
    "weights-off": Accept("3: as weights-on", optional_servers="^[cf]_"),
    "base64-nohost": bad_child("a decoded name without host and port is skipped", text(service(servers=()))),
    "base64-array": Accept(
        "3: a decoded name that is not an object is skipped, or its data is used as for undecodable names",
        variants=(text(service(servers=())), text(service(servers=("data2_10.0.0.2:8002",)))),
    ),
    "garbage-host-types": bad_child("host null, a number, an object"),
    "garbage-space-name": bad_child("a name with blanks and a newline"),
    "garbage-name-number": bad_child("a name that is a number"),
    "garbage-port": bad_child(
        'port null, -1, 99999, text, 80.5; "8080" is a port', text(service(servers=(*TWO, "pstr_10.0.0.61:8080")))
    ),
    "garbage-sso-newline": bad_child("haproxy_server_options with a newline"),
    "garbage-id-last": bad_child("haproxy_server_options that HAProxy refuses"),
    "garbage-template": bad_child("haproxy_server_options with an unknown template key"),
    "garbage-labels": bad_child("labels that are a string"),
    "garbage-labels-array": bad_child("labels that are an array"),
    "unicode-name": bad_child("a name with characters HAProxy refuses", text(service(servers=()))),
    "haproxy-server-options": Accept(
        "3: a list as haproxy_server_options is ignored (recorded) or makes the child a bad one",
        optional_servers="^z_",
    ),
    "directives-new": Accept(
        "9: directives that this HAProxy knows are kept; `option http-use-htx` is refused by name. Together the three "
        "check lines are refused by HAProxy too (connect must come first), so they are optional; refusing all unknown "
        "ones, as recorded, passes too",
        variants=(
            text(
                service(
                    frontend=[
                        "http-after-response set-header X 1",
                        "use_backend service-a",
                        "unique-id-format %{+X}o",
                        "declare capture request len 10",
                    ],
                    backend=[
                        "retry-on all-retryable-errors",
                        "filter compression",
                        "load-server-state-from-file global",
                        "http-error status 503",
                    ],
                )
            ),
            golden,
        ),
        optional_lines={
            "backend service-a": ("http-check send meth GET uri /h", "http-check connect", "tcp-check comment x")
        },
        names=("http-use-htx",),
    ),
    "directives-old": Accept(
        "9: refused by name: the lines are skipped, or the whole service is",
        variants=(text(service()), without_service()),
        names=("reqidel", "forceclose", "reqadd"),
    ),
    "directive-prefix": Accept(
        "9: whole words: none of these is a directive; the lines are skipped, or the whole service is",
        variants=(text(service()), without_service()),
        names=("bindx", "serverless", "idempotent"),
    ),
    "directive-case-space": Accept(
        "9: HAProxy keywords are lower case: TIMEOUT and HTTPCHK are refused by name, or written in lower case",
        variants=(
            text(service(backend=["timeout server 4s"])),
            text(service(frontend=["timeout client 3s"], backend=["option httpchk GET /h", "timeout server 4s"])),
            without_service(),
        ),
    ),
    "backend-name-shared": Accept(
        "11: two services cannot share one backend: the second is skipped and named, or uses the first one's section",
        variants=(lambda ctx: ctx.golden[:-2], lambda ctx: ctx.golden[:-1]),
        names=("service-b|same",),
    ),
    "yelp-shape": Accept(
        "its own defaults ask for `option forceclose`, which 2.6 refuses: written as requested, skipped, or as httpclose",
        variants=(
            golden,
            with_line_dropped("forceclose"),
            lambda ctx: [(h, [x.replace("forceclose", "httpclose") for x in lines]) for h, lines in ctx.golden],
        ),
        file_may_be_invalid=True,
    ),
    "state-expired": Accept(
        "an entry past its TTL may also be dropped at once instead of at the first tick", optional_servers="^gone_"
    ),
}


@dataclass
class NerveAccept:
    reason: str
    registered: list | None = None
    names: tuple = ()
    add_good: bool = False
    exits: bool = False
    check_config_fails: bool = False


def bad_nerve_service(reason, names=("svc-a",), check_config_fails=True):
    return NerveAccept(
        "11: " + reason, registered=[[]], names=names, add_good=True, check_config_fails=check_config_fails
    )


_DATA = {"host": "10.0.0.5", "port": 3000, "name": "mymachine"}
_SEQ = "/mymachine_<seq:10 digits>"
NERVE = {
    "weight-invalid": NerveAccept(
        "11: weight text: svc-a skipped and named, svc-b runs",
        names=("svc-a",),
        check_config_fails=True,
        registered=[[("/nerve/b" + _SEQ, _DATA, True)]],
    ),
    "weight-float": bad_nerve_service("weight 1.5"),
    "weight-null": bad_nerve_service("weight null"),
    "port-missing": bad_nerve_service("no port"),
    "zk-hosts-missing": bad_nerve_service("no zk_hosts"),
    "reporter-unknown": bad_nerve_service("unknown reporter_type", names=("svc-a", "smoke")),
    "instance-id-missing": NerveAccept(
        "same as upstream: refuses to start",
        exits=True,
        names=("instance_id",),
        registered=[[]],
        check_config_fails=True,
    ),
    "instance-id-slash": NerveAccept(
        "an instance_id that cannot be a znode name: refused at start or nothing registered, named in the log",
        registered=[[]],
        names=("instance_id|svc-a|a/b",),
    ),
    "path-trailing-slash": NerveAccept(
        "11: refused by name, or the slash is dropped", registered=[[], [("/nerve/a" + _SEQ, _DATA, True)]]
    ),
    "ephemeral-exists": NerveAccept(
        "a persistent node in the way: data set (recorded) or replaced by the ephemeral one asked for",
        registered=[
            [("/nerve/services/a/services/mymachine_", _DATA, False)],
            [("/nerve/services/a/services/mymachine_", _DATA, True)],
        ],
    ),
    "sighup-change-persistent": NerveAccept(
        "a changed service stays registered (Ruby deletes the node it has just set for 10 s)"
    ),
}
