"""Recorded hacheck cases where another answer than the recorded one is right too, or alone right, with the reason.

Numbers of differences are those of "Deliberate differences" in docs/compatibility.md.
SAME: looked at, the recorded answer stays. EITHER: the recorded one or an alternative. ONLY: one of the alternatives, the
recorded answer being a bug that upstream has and this project has not. A case marked as an oddity needs a decision.
"""

import re

SAME, EITHER, ONLY = "same", "either", "only"
ANY = "<any>"


def alt(**over):
    """An alternative expectation: the recorded one with these fields replaced.
    First step: status (int or tuple), body (text, compiled pattern or ANY), json (callable), max_s.
    steps={i: {...}}: the same for step i. Whole case: saw (list of raw requests), saw_target
    (pattern of the request target), saw_n (allowed numbers of requests), conns, spool, started;
    cli: exit_code, stdout, stderr, outside; startup: started, listening, post_status."""
    return over


def decide(kind, reason, *alts, config=None):
    """config: settings merged into the case's own, so that 'at once' and 'timed out' lie far apart."""
    return {"kind": kind, "reason": reason, "alts": list(alts), "config": config}


def down_text(service="svc.main"):
    """The form PaaSTA parses, with numbers that it can parse."""
    return re.compile(
        "^Service %s in down state(?: since [0-9.]+)?(?: until [0-9.]+)?(?:: .*)?$" % re.escape(service), re.S
    )


def req(target, host="127.0.0.1:3333", extra=""):
    return "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (target, host, extra)


def mark(reason, expiration=None, creation="<now>"):
    return {"json": {"reason": reason, "expiration": expiration, "creation": creation}}


def recent_only(names, thresholds):

    def check(js):
        seen = [s[0] for s in js.get("seen_services", ["?"])]
        return set(seen) <= set(names) and js.get("threshold_seconds") in thresholds

    return check


REFUSE_NAME = (400, 403, 404)
REFUSE_VALUE = (400, 503)
NOT_TIMED_OUT = re.compile("\\A(?!.*timed? ?-?out).*\\Z", re.S | re.I)
SLOW = {"healthcheck_timeout": 5}
AT_ONCE = 2.5
PY = "text of a Python exception or an empty body; the status is the contract, any text will do"
PCT = "recorded: path decoded and sent on; better: sent on as the client wrote it"
D15_SPOOL = "difference 15: bad spool contents never give 500"
D15_TIME = "difference 15: a bad time never gives 500"
D15_NAME = "difference 15: service names '.' and '..' are refused"
D15_ADDR = "difference 15: the header must be an address"
D15_ONCE = "difference 15: a refused connection answers at once and is not called a time-out"
D15_DEADLINE = "difference 15: every check has a total deadline"
ACCEPT = {
    "spool_text_is_json_list": decide(
        ONLY,
        D15_SPOOL + "; anything but an object is the reason",
        alt(status=503, body="Service svc.main in down state: []"),
    ),
    "spool_text_is_json_null": decide(
        ONLY,
        D15_SPOOL + "; anything but an object is the reason",
        alt(status=503, body="Service svc.main in down state: null"),
    ),
    "spool_json_expiration_string": decide(
        ONLY, D15_SPOOL + "; how the odd time is shown is open", alt(status=503, body=down_text())
    ),
    "spool_json_creation_string": decide(
        ONLY, D15_SPOOL + "; how the odd time is shown is open", alt(status=503, body=down_text())
    ),
    "spool_not_utf8": decide(
        ONLY, D15_SPOOL + "; how the bytes are shown is open", alt(status=503, body=down_text())
    ),
    "spool_port_then_text": decide(
        EITHER, "contract: PORT[/...]: 404 without the slash is right", alt(status=404, body=ANY)
    ),
    "spool_dot_service": decide(ONLY, D15_NAME, alt(status=REFUSE_NAME, body=ANY)),
    "post_dotdot": decide(ONLY, D15_NAME, alt(status=REFUSE_NAME, body=ANY, spool={})),
    "post_dotdot_port": decide(ONLY, D15_NAME + ", nothing is written", alt(status=REFUSE_NAME, body=ANY, spool={})),
    "post_up_dotdot": decide(
        ONLY, D15_NAME + " (not marked oddity; recorded: a silent 200)", alt(status=REFUSE_NAME, body=ANY)
    ),
    "spool_port_huge": decide(EITHER, "no such port: refused is better", alt(status=(400, 404), body=ANY)),
    "post_port_over_65535": decide(
        EITHER, "no such port: refused is better, nothing written", alt(status=(400, 404), body=ANY, spool={})
    ),
    "spool_haproxy_state_negative_port": decide(
        EITHER,
        "no such port: refused or ignored is better than NAME:-5",
        alt(status=REFUSE_VALUE, body=ANY),
        alt(status=200, body=""),
    ),
    "spool_two_haproxy_state_headers": decide(
        ONLY,
        "difference 15: a bad header value never gives 500; refused, ignored or one of them read",
        alt(status=REFUSE_VALUE, body=ANY),
        alt(status=200, body=""),
    ),
    "spool_nerve_ip_traversal_existing_dir": decide(
        EITHER,
        D15_ADDR + " (not marked oddity); a refused request need not clear the old mark",
        alt(status=REFUSE_VALUE, body=ANY),
        alt(status=REFUSE_VALUE, body=ANY, spool={"svc.main": mark("old", 1.0, 1000.5)}),
    ),
    "http_nerve_ip_junk": decide(
        EITHER, D15_ADDR + "; must not fall back to this host and say 200", alt(status=REFUSE_VALUE, body=ANY)
    ),
    "http_nerve_ip_unresolvable": decide(
        EITHER, D15_ADDR + "; must not fall back to this host and say 200", alt(status=REFUSE_VALUE, body=ANY)
    ),
    "http_nerve_ip_userinfo": decide(
        ONLY,
        D15_ADDR + ": nobody asked, no Authorization made of it",
        alt(status=REFUSE_VALUE, body=ANY, saw=[], conns=0),
    ),
    "http_nerve_ip_v6_bracket": decide(
        EITHER,
        "brackets are not part of an address: refused, or tried and refused by the peer",
        alt(status=REFUSE_VALUE, body=ANY),
    ),
    "tcp_junk_host": decide(
        ONLY,
        D15_ADDR + ": answered at once, not after the whole time-out",
        alt(status=REFUSE_VALUE, body=ANY, max_s=AT_ONCE),
        config=SLOW,
    ),
    "post_ignores_nerve_ip": decide(
        EITHER,
        "contract says nothing of hosts in POST: by port as recorded, or by the address",
        alt(spool={"svc.main:127.0.0.2:8080": mark("x", None, 5.0)}),
    ),
    "spool_double_slash": decide(
        EITHER, "no contract on doubled slashes: 404 or taken as one", alt(status=200, body="")
    ),
    "spool_absolute_uri": decide(
        EITHER, "RFC 9112: a server must accept the absolute form", alt(status=200, body="")
    ),
    "bad_request_line": decide(EITHER, "a 400 says more than a closed connection", alt(status=400, body=ANY)),
    "header_too_big": decide(
        EITHER,
        "a 431 (or 400, 413) says more than a closed connection; the limit is not in the contract, so 70 kB may be served",
        alt(status=(431, 400, 413), body=ANY),
        alt(status=200, body=re.compile("service_access_counts")),
    ),
    "post_expiration_bad": decide(ONLY, D15_TIME + ": 400, nothing written", alt(status=400, body=ANY, spool={})),
    "post_creation_bad": decide(ONLY, D15_TIME + ": 400, nothing written", alt(status=400, body=ANY, spool={})),
    "post_expiration_nan": decide(
        EITHER,
        "recorded: a file that is not JSON; better: 400, or no expiry",
        alt(status=400, body=ANY, spool={}),
        alt(status=200, body="", spool={"svc.main:8080": mark("x")}),
    ),
    "post_expiration_inf": decide(
        EITHER,
        "recorded: a file that is not JSON; better: 400, or no expiry",
        alt(status=400, body=ANY, spool={}),
        alt(status=200, body="", spool={"svc.main:8080": mark("x")}),
    ),
    "post_down_over_json_without_reason": decide(
        ONLY,
        D15_SPOOL + ": the new mark replaces it",
        alt(status=200, body="", spool={"svc.main:8080": mark("same")}),
    ),
    "recent_threshold_bad": decide(
        ONLY,
        D15_TIME + ": 400, or the default",
        alt(status=400, body=ANY),
        alt(status=200, json=recent_only([], [600])),
    ),
    "recent_threshold_empty": decide(
        ONLY,
        D15_TIME + " (not marked oddity): 400, or the default",
        alt(status=400, body=ANY),
        alt(status=200, json=recent_only([], [600])),
    ),
    "recent_threshold_float": decide(
        ONLY,
        D15_TIME + ": 400, or taken as seconds",
        alt(status=400, body=ANY),
        alt(status=200, json=recent_only([], [600, 1.5, 1, 2])),
    ),
    "http_path_encoded_space": decide(EITHER, PCT, alt(saw_target="/a%20b")),
    "http_path_encoded_question": decide(EITHER, PCT, alt(saw_target="/a%3Fb=1")),
    "http_path_encoded_percent": decide(EITHER, PCT, alt(saw_target="/a%25b")),
    "http_path_encoded_dotdot": decide(EITHER, PCT + " (not marked oddity)", alt(saw_target="/%2e%2e/%2e%2e/x")),
    "http_headers_to_copy_connection": decide(SAME, "the probe's own Connection header is not compared"),
    "http_backend_100_then_200": decide(SAME, "an interim answer is skipped"),
    "http_backend_101": decide(
        EITHER,
        "contract: codes up to 200 are healthy; as recorded a failed check; " + PY,
        alt(status=503, body=ANY),
        alt(status=200, body=ANY),
    ),
    "http_backend_no_reason": decide(
        EITHER,
        "recorded: hangs; better: RFC 9112 lets the reason be absent",
        alt(status=503, body=ANY),
        alt(status=200, body="ok"),
        config={"healthcheck_timeout": 1},
    ),
    "http_backend_gzip_body": decide(
        EITHER,
        "no gzip asked for, body passed on as it is; or " + PY,
        alt(status=200, body="abc"),
        alt(status=503, body=ANY),
    ),
    "http_backend_port_over": decide(
        EITHER, "no such port: any refusal; " + PY, alt(status=(400, 404, 503), body=ANY)
    ),
    "http_backend_http09": decide(EITHER, PY, alt(body=ANY)),
    "http_backend_http2_line": decide(EITHER, PY, alt(body=ANY), config={"healthcheck_timeout": 1}),
    "http_backend_closes": decide(EITHER, PY, alt(body=ANY)),
    "http_backend_refused": decide(EITHER, PY, alt(body=ANY)),
    "http_backend_port0": decide(EITHER, PY, alt(body=ANY)),
    "http_nerve_ip_not_local": decide(EITHER, PY, alt(body=ANY)),
    "http_to_tls": decide(EITHER, PY, alt(body=ANY)),
    "https_refused": decide(EITHER, PY, alt(body=ANY)),
    "recent_599": decide(EITHER, PY + "; /recent as recorded", alt(steps={0: {"body": ANY}})),
    "cache_not_split_by_host_header": decide(
        EITHER,
        "copied headers in the key would be right too",
        alt(saw=[req("/status", "a.test"), req("/status", "b.test")], conns=2),
    ),
    "cache_stampede_pragma_not_coalesced": decide(
        EITHER, "one flight per key may hold for no-cache too", alt(saw_n=range(1, 11))
    ),
    "tcp_refused": decide(ONLY, D15_ONCE, alt(status=503, body=NOT_TIMED_OUT, max_s=AT_ONCE)),
    "tcp_port_over": decide(
        EITHER, "no such port: any refusal is better than the recorded 500", alt(status=(400, 404, 503), body=ANY)
    ),
    "smtp_refused": decide(ONLY, D15_ONCE, alt(status=503, body=NOT_TIMED_OUT, max_s=AT_ONCE), config=SLOW),
    "smtp_multiline_banner": decide(
        EITHER,
        "RFC 5321 allows several lines of greeting",
        alt(status=200, body=re.compile("^Connected in \\d+\\.\\d\\ds$")),
    ),
    "smtp_quit_221_dash": decide(
        EITHER,
        "RFC 5321 allows several lines of reply",
        alt(status=200, body=re.compile("^Connected in \\d+\\.\\d\\ds$")),
        alt(status=503, body=re.compile("221-bye")),
    ),
    "smtp_empty_quit_line": decide(
        EITHER, "a failed check is a 503; the recorded 500 is an IndexError", alt(status=503, body=ANY)
    ),
    "smtp_bad_quit": decide(EITHER, "Python's b'...' in the text", alt(status=503, body=re.compile("500 what"))),
    "mysql_handshake_py3": decide(
        ONLY,
        "the same input as mysql_ok_patched; the recorded 500 is a Python 2 module run on Python 3",
        alt(status=200, body=re.compile("^MySQL connect response"), saw=ANY),
    ),
    "mysql_error_greeting_patched": decide(
        EITHER, "a failed check: 503, or 500 as for other MySQL errors", alt(status=(500, 503), body=ANY)
    ),
    "hadown_slash_in_name": decide(
        ONLY,
        "difference 15: paths out of the spool are refused",
        alt(exit_code=(1, 2), stderr=ANY, outside=[], spool={}),
    ),
    "hastatus_port_but_service_down": decide(
        ONLY,
        "difference 15: hastatus also says when the whole service is down; the wording is open",
        alt(exit_code=1, stdout=re.compile("\\ADOWN\\t.*maint", re.S)),
    ),
    "hastatus_all_down": decide(
        ONLY,
        "difference 15: hastatus also says when 'all' is down; the wording is open",
        alt(exit_code=1, stdout=re.compile("\\ADOWN\\t.*maint", re.S)),
    ),
    "hashowdowned_bad_port_file": decide(
        EITHER,
        "no traceback: the mark listed by its name, or skipped",
        alt(exit_code=(0, 1), stdout="", stderr=ANY),
        alt(exit_code=0, stdout=re.compile("\\ADOWN\\t[^\\n]*svc\\.b[^\\n]*\\n\\Z"), stderr=ANY),
    ),
    "halist_no_server": decide(SAME, "exit 1 and a message; the text is not compared"),
    "two processes": decide(EITHER, "-n is accepted; upstream does not stop on SIGTERM", alt(on_sigterm=0)),
    "num procs 0": decide(EITHER, "-n is accepted; upstream does not stop on SIGTERM", alt(on_sigterm=0)),
    "empty config": decide(
        EITHER, "an empty file may mean the defaults", alt(started=True, listening={"3333": True}, on_sigterm=0)
    ),
    "cache_time null": decide(
        EITHER, "null may mean the default", alt(started=True, listening={"3333": True}, on_sigterm=0)
    ),
    'allow_remote "false" string': decide(
        ONLY,
        "difference 15: booleans are booleans: refused at the start, or false",
        alt(post_status=403),
        alt(started=False, listening={}, on_sigterm=None),
    ),
}
