"""Services of mixed, odd but plausible keys: texts of smartstack.yaml, each chosen by a seed alone."""
import random

# Key: texts after the colon. What is common stands more than once.
PLACES = ("[region]", "[region]", "[habitat, region]", "[habitat]", "[superregion, region]", "[region, region]",
          "\n  - region\n  - superregion", "[region, ecosystem]", "[]", "region", "[nowhere, region]", "null")
HEADERS = ("{Host: example.com}", "{X-Mode: ro}", "{X-One: '1', X-Two: b c}", "{X-Number: 7}", "{X-Flag: true}",
           "{X-Empty: ''}", "{X-Percent: '100%'}", "{X-Quote: 'say \"x\"'}", "{}", "{X-Colon: 'a:b'}", "{X-Null: null}",
           "{X-Float: 1.5}", "{X-Slash: 'a\\b'}", "{X-Inf: .inf}", "{X-Dollar: $HOME}", "{X-Date: 2020-01-01}")
KEYS = {
    "discover": ("region", "region", "habitat", "superregion", "ecosystem", "'region'"),
    "advertise": PLACES,
    "extra_advertise": ("{'region:uswest1-prod': ['region:useast1-prod']}", "{'habitat:uswest1aprod': ['region:useast1-prod']}",
                        "{'region:elsewhere': ['region:useast1-prod']}", "{}", "{'superregion:westcoast-prod': []}"),
    "mode": ("http", "http", "tcp", "https", "null", "'http'", "HTTP"),
    "healthcheck_mode": ("http", "tcp", "https", "null"),
    "healthcheck_uri": ("/status", "/healthz?full=1", "status", "//deep/status", "/", "''", "/a%20b", "/état",
                        "'/x y'"),
    "healthcheck_port": ("8081", "null", "'8081'", "0"),
    "healthcheck_timeout_s": ("1", "2.5", "10", "0.5", "1.0", "0x10", "1_0", "'3'", "1:30"),
    "healthcheck_body_expect": ("ok", "'1'", "1", "true", "''", "null", ".inf", "Häuser", "'a\"b'"),
    "timeout_connect_ms": ("500", "500.0", "1e3", "0", "null", "1_000", "010", "'500'"),
    "timeout_client_ms": ("1000", "5000.7", "null", "0", "60000"),
    "timeout_server_ms": ("1000", "12345", "null", "2000.0", "-1"),
    "retries": ("1", "0", "3", "null", "2.0", "'2'"),
    "balance": ("leastconn", "roundrobin", "source", "null", "random(2)"),
    "keepalive": ("true", "false", "yes", "1", "0", "null", "'no'"),
    "allredisp": ("true", "false"),
    "extra_headers": HEADERS,
    "extra_healthcheck_headers": HEADERS,
    "endpoint_timeouts": ("{/slow: 60000}", "{/a: 1, /a/b: 2, /: 3}", "{}", "{/x-y_z.json: 1500}", "{/é: 10}", "{/a: 2.5}",
                          "{/a/: 5}", "{slow: 10}"),
    "chaos": ("{habitat: {uswest1aprod: {fail: drop}}}", "{region: {uswest1-prod: {delay: 10ms}}}",
              "{ecosystem: {elsewhere: {fail: error_503}}}", "{}", "{region: {uswest1-prod: {fail: error_503}}}"),
    "is_proxy": ("true", "false"),
    "proxied_through": ("null", "nobody.main"),
    "plugins": ("{logging: {enabled: true}}", "{logging: {enabled: true, sample_rate: 0.1}}",
                "{source_required: {enabled: true}}", "{logging: {enabled: false}}", "{}",
                "{path_based_routing: {enabled: true}}", "{other: {enabled: true}}"),
    "routes": ("[{source: 'region:a', destinations: ['region:b', 'region:c']}]", "[]"),
    "updown_timeout_s": ("60", "300.5"),
    "description": ("something that nobody reads", "[1, 2]"),
    "lb_policy": ("{lb_subset_config: {fallback_policy: ANY_ENDPOINT}}",),
}
NAMES = ("web", "web-two", "web_three", "web4", "Web", "a", "service.dot", "x" * 60)
SPACES = ("main", "main", "main", "canary", "v2", "main_two", "'1'", "UPPER")


def service(seed, number):
    """(name, files) of one service: its folder's name and what stands in it."""
    random_ = random.Random(f"{seed} {number}")
    name = f"{random_.choice(NAMES)}{number}"
    text = random_.choice(("", "---\n", "# made\n", "%YAML 1.1\n---\n", "\n"))
    port = 20000 + 4 * number
    for index, space in enumerate(dict.fromkeys(random_.choice(SPACES) for _ in range(random_.choice((1, 1, 1, 2))))):
        ports = [str(port + index)] * 12 + ["null", "-1", f"{port + index}.0", f"'{port + index}'", hex(port + index), ""]
        chosen = random_.choice(ports)
        text += f"{space}:\n" + (f"  proxy_port: {chosen}\n" if chosen else "")
        for key in random_.sample(sorted(KEYS), random_.choice((0, 1, 2, 2, 3, 4, 6))):
            text += f"  {key}: {random_.choice(KEYS[key])}\n"
        if text.endswith(":\n"):
            text += "  mode: http\n"
    spaces = [line.strip().rstrip(":").strip("'") for line in text.splitlines() if line.endswith(":") and line[0] not in " #"]
    files = {"smartstack.yaml": text}
    own = random_.choice(("8888", "8888", "8888\n", " 8888", None))
    if own:
        files["port"] = own
    return name, spaces, files
