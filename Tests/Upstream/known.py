"""Differences that docs/compatibility.md names."""
import re

# What is rewritten in smartstack.yaml before upstream is asked again: then it must write what ours makes of the original.
REWRITTEN = (
    (r"^  mode: null\n", "  mode: http\n", "null as a mode is http (12, 14)"),
    (r"^  healthcheck_(mode|port): null\n", "", "null as the check's mode or port is the service's (14)"),
    (r"^(  proxy_port: \d+)\.0\n", r"\1\n", "20000.0 as a proxy_port is 20000 (12)"),
    (r"(: )(\.inf|2020-01-01)", r"\1'\2'", ".inf and a date are texts (14)"),
    (r"'\.inf'", "inf", ""),
    (r"^  proxied_through: nobody.*\n", "", "proxied_through without its target is named (13)"),
)
# What ours may say of a service that upstream writes.
SAID = (
    (r"balance: expected leastconn or roundrobin", "a balance that upstream drops is named (13)"),
    (r"advertise\[\d+\]: '.*' is not a location type", "an unknown location type is named (13, 14)"),
    (r"proxied_through: no backend", "proxied_through without its target is named (13)"),
    (r"(retries|timeout_\w+_ms): (-?\d+ is outside|expected a number)", "a number that HAProxy refuses (13)"),
    (r"healthcheck_timeout_s: expected a number", "a time-out that is text (13, 14)"),
    (r"healthcheck_uri: a blank, quote, backslash or #", "a path that HAProxy refuses (12)"),
    (r"extra_headers|extra_healthcheck_headers", "a header that HAProxy or a check refuses (12, 14)"),
    (r"advertise: expected a list", "a text in place of a list, whose letters upstream reads (13, 14)"),
    (r"proxy_port: expected a port number", "a port that is text (13)"),
    (r"discovered by .*which is not among the types", "a discover that is not in advertise (13)"),
    (r"endpoint_timeouts", "an endpoint that HAProxy's names cannot have (12)"),
)
NOISE = r"has changed, \d|are written, |: warning: "


def rewritten(text, missing):
    """(the text that upstream is asked with, without the namespaces that ours skips; places)"""
    places = []
    for space in missing:
        text = re.sub(rf"^'?{re.escape(space)}'?:\n(?:  .*\n)*", "", text, flags=re.M)
    for pattern, replacement, place in REWRITTEN:
        changed = re.sub(pattern, replacement, text, flags=re.M)
        if changed != text and place:
            places.append(place)
        text = changed
    # Upstream's nerve-tools ask hacheck for /None/… then.
    for block in re.findall(r"^\S+:\n(?:  .*\n)*", text, flags=re.M):
        if not re.search(r"^  mode: |^  proxy_port: (?!null)", block, flags=re.M):
            text = text.replace(block, block + "  mode: http\n")
            places.append("without a proxy the check is http as well (14)")
    return text, places


def explained(errors):
    """(places of all that ours says, lines that nothing explains, the exit status)"""
    places, left, status = set(), [], 0
    for line in errors.splitlines():
        if re.search(NOISE, line):
            continue
        place = next((place for pattern, place in SAID if re.search(pattern, line)), None)
        places.add(place) if place else left.append(line)
        if "is written without what follows" not in line:
            status = 3
    return places, left, status


def skipped(name, errors):
    """The namespaces of a service that ours skips."""
    return set(re.findall(rf": {re.escape(name)}\.(\S+) is skipped: ", errors))
