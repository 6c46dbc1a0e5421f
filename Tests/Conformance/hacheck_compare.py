"""Compares what a hacheck did with what is expected of it: answers, probes seen by the backend, spool, exit status."""

import copy
import json
import math
import re

from hacheck_accept import ACCEPT, ANY, NOT_TIMED_OUT, ONLY, SAME
from hacheck_wire import parse_response


def show(value, limit=160):
    if value is NOT_TIMED_OUT:
        return "a text that does not say 'timed out'"
    text = value if value == ANY else "like " + value.pattern if hasattr(value, "pattern") else repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def same_json(want, got, clock, superset=True):
    """'<now>' = a time of this run, '<float>' = any number; objects may have more members if superset."""
    if want == "<now>":
        return isinstance(got, (int, float)) and (not isinstance(got, bool)) and (clock[0] - 5 <= got <= clock[1] + 1)
    if want == "<float>":
        return isinstance(got, (int, float)) and (not isinstance(got, bool))
    if want in ("<NaN>", "<Infinity>"):
        return isinstance(got, float) and (math.isnan(got) if want == "<NaN>" else got == math.inf)
    if isinstance(want, dict):
        if not isinstance(got, dict) or not (set(want) <= set(got) if superset else set(want) == set(got)):
            return False
        return all((same_json(v, got[k], clock, superset) for k, v in want.items()))
    if isinstance(want, list):
        return (
            isinstance(got, list)
            and len(want) == len(got)
            and all((same_json(a, b, clock, superset) for a, b in zip(want, got)))
        )
    if isinstance(want, bool) or isinstance(got, bool) or want is None:
        return want is got
    return want == got


def same_text(want, got):
    if want == ANY:
        return True
    if hasattr(want, "search"):
        return want.search(got) is not None
    return want == got


def is_error_page(text):
    return (
        isinstance(text, str)
        and re.match("^<html><title>\\d+: [^<]*</title><body>\\d+: [^<]*</body></html>$", text) is not None
    )


def compare_spool(want, got, clock):
    if want is None or got is None:
        return [] if want == got else ["spool: expected %s, got %s" % (show(want), show(got))]
    diffs = []
    for name in sorted(set(want) | set(got)):
        if name not in got:
            diffs.append("spool file %s is missing" % name)
        elif name not in want:
            diffs.append("spool file %s should not be there: %s" % (name, show(got[name].get("text", got[name]))))
        elif "<dir>" in want[name] or "<dir>" in got[name]:
            if ("<dir>" in want[name]) != ("<dir>" in got[name]):
                diffs.append("spool file %s: file and folder mixed up" % name)
        elif "json" in want[name]:
            if "json" not in got[name] or not same_json(want[name]["json"], got[name]["json"], clock, superset=False):
                diffs.append(
                    "spool file %s: expected %s, got %s"
                    % (name, show(json.dumps(want[name]["json"])), show(got[name]["text"]))
                )
        elif want[name]["text"] != got[name]["text"]:
            diffs.append(
                "spool file %s: expected %s, got %s" % (name, show(want[name]["text"]), show(got[name]["text"]))
            )
    return diffs


UNCOMPARED_PROBE_HEADERS = ("user-agent", "connection", "accept", "accept-encoding")


def parse_probe(raw):
    lines = raw.partition("\r\n\r\n")[0].split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name, value = (name.strip().lower(), re.sub("\\s*,\\s*", ",", value.strip()))
        headers[name] = headers[name] + "," + value if name in headers else value
    return (lines[0], headers)


def compare_probe(want, got, target, copied_agent):
    """One request as a backend saw it."""
    if want.startswith("\x16\x03") or want == "<tls client hello>":
        return (
            []
            if got.startswith("\x16\x03") or got == "<tls client hello>"
            else ["backend saw %s instead of a TLS hello" % show(got)]
        )
    if "mysql_native_password" in want:
        login = re.search("u\\x00\\x14.{20}", want, re.S).group(0)
        return (
            [] if login in got else ["backend saw no MySQL login with user u and the right scramble: %s" % show(got)]
        )
    if not re.match("[A-Z]+ .* HTTP/", want):
        return [] if want == got else ["backend saw %s, expected %s" % (show(got), show(want))]
    want_line, want_headers = parse_probe(want)
    got_line, got_headers = parse_probe(got)
    diffs = []
    if target is None:
        if want_line != got_line:
            diffs.append("backend saw %s, expected %s" % (show(got_line), show(want_line)))
    elif not re.fullmatch("GET (?i:%s) HTTP/1\\.1" % target, got_line):
        diffs.append("backend saw %s, expected GET %s" % (show(got_line), target))
    for name in sorted(set(want_headers) | set(got_headers)):
        if name in UNCOMPARED_PROBE_HEADERS and (not (name == "user-agent" and copied_agent)):
            continue
        if want_headers.get(name) != got_headers.get(name):
            diffs.append(
                "backend saw %s: %s, expected %s" % (name, show(got_headers.get(name)), show(want_headers.get(name)))
            )
    return diffs


def compare_step(want, got, clock):
    diffs = []
    if want["status"] is None:
        if got["status"] is not None:
            return ["status: expected none (%s), got %s %s" % (want["how"], got["status"], show(got["body"], 80))]
        return [] if got["how"] == want["how"] else ["expected a connection %s, got: %s" % (want["how"], got["how"])]
    allowed = want["status"] if isinstance(want["status"], tuple) else (want["status"],)
    label = "/".join(map(str, allowed))
    if got["status"] not in allowed:
        what = (
            "no answer (%s after %.1f s)" % (got["how"], got["elapsed"])
            if got["status"] is None
            else "%s %s" % (got["status"], show(got["body"], 80))
        )
        return ["status: expected %s, got %s" % (label, what)]
    if got["how"] == "unfinished":
        diffs.append("the answer never ended: %s" % show(got["body"]))
    if "json" in want:
        try:
            parsed = json.loads(got["body"])
            good = want["json"](parsed) if callable(want["json"]) else same_json(want["json"], parsed, clock)
        except (ValueError, TypeError, AttributeError, IndexError):
            good = False
        if not good:
            diffs.append(
                "json: expected %s, got %s"
                % ("another" if callable(want["json"]) else show(json.dumps(want["json"])), show(got["body"]))
            )
    elif not is_error_page(want["body"]) and (not same_text(want["body"], got["body"])):
        diffs.append("body: expected %s, got %s" % (show(want["body"]), show(got["body"])))
    if "all_statuses" in want and want["all_statuses"] != got.get("all_statuses"):
        diffs.append("statuses of all: expected %s, got %s" % (want["all_statuses"], got.get("all_statuses")))
    if "max_s" in want and got["elapsed"] > want["max_s"]:
        diffs.append("answered after %.1f s, expected at most %.1f s" % (got["elapsed"], want["max_s"]))
    for name in want.get("not_headers", ()):
        if name in got["headers"]:
            diffs.append("the backend's header %s was passed on" % name)
    more = got.get("more") or []
    if len(more) != len(want.get("more", [])):
        diffs.append("expected %d more answers, got %d" % (len(want.get("more", [])), len(more)))
    for one, other in zip(want.get("more", []), more):
        if one["status"] != other["status"] or one["body"] != other["body"]:
            diffs.append(
                "next answer: expected %s %s, got %s %s"
                % (one["status"], show(one["body"]), other["status"], show(other["body"]))
            )
    if got.get("extra"):
        diffs.append("bytes after the answer: %s" % show(got["extra"]))
    if got.get("closed") is False:
        diffs.append("the connection was not closed after the answer")
    return diffs


def recorded_contract(case):
    """The recorded answer in the form that compare_contract takes."""
    many = isinstance(case["request"], list)
    requests = case["request"] if many else [case["request"]]
    answers = case["response"] if many else [case["response"]]
    backend = case.get("backend") or {}
    hidden = [h.lower() for h in backend.get("headers") or {} if h.lower() != "content-type"]
    steps = []
    for request, answer in zip(requests, answers):
        if "sleep" in request:
            steps.append(None)
            continue
        step = {"status": answer["status"], "not_headers": hidden}
        if answer["status"] is None:
            step["how"] = "hung" if "hangs" in answer.get("note", "") else "closed"
        for key in ("json", "all_statuses"):
            if key in answer:
                step[key] = answer[key]
        body = answer.get("body", "")
        if body.startswith("HTTP/1."):
            step["more"] = []
            while body:
                one, used, _ = parse_response(body.encode(), False)
                step["more"].append(one)
                body = body.encode()[used:].decode()
        body = body.removesuffix("<<TIMEOUT>>")
        step["body"] = re.compile(answer["body_regex"]) if "body_regex" in answer else body
        steps.append(step)
    saw = case.get("backend_saw")
    return {
        "steps": steps,
        "saw": saw,
        "conns": case.get("backend_connections"),
        "spool": case["spool_after"],
        "started": True,
        "copied_agent": "User-Agent" in ((case.get("config") or {}).get("http_headers_to_copy") or []),
    }


def with_alternative(recorded, over):
    want = copy.deepcopy(recorded)
    over = dict(over)
    steps = dict(over.pop("steps", {}))
    first = {k: over.pop(k) for k in ("status", "body", "json", "max_s") if k in over}
    if first:
        steps[0] = first
    for index, change in steps.items():
        step = want["steps"][index]
        if "body" in change:
            step.pop("json", None)
        step.update(change)
        step.setdefault("how", "closed")
    want.update(over)
    return want


def real_requests(saw):
    return [s for s in saw if s and (not s.startswith("<<"))]


def compare_contract(want, got):
    if got["started"] != want["started"]:
        return [got["why_not"] if want["started"] else "the server started, expected a refusal"]
    if not want["started"]:
        return (
            []
            if got["exit_code"] and got["exit_code"] > 0 and got["log"]
            else ["refused to start, but exit code %s and message %s" % (got["exit_code"], show(got["log"]))]
        )
    diffs = []
    many = len(want["steps"]) > 1
    for index, (step, answer) in enumerate(zip(want["steps"], got["steps"])):
        if step is not None:
            diffs += [
                ("step %d: " % (index + 1) if many else "") + d for d in compare_step(step, answer, got["clock"])
            ]
    if want["saw"] is not None and want["saw"] != ANY:
        expected, seen = (real_requests(want["saw"]), real_requests(got["saw"]))
        counts = want.get("saw_n")
        if counts is not None:
            expected = expected[:1] * len(seen)
        if counts is not None and len(seen) not in counts or len(expected) != len(seen):
            diffs.append(
                "the backend saw %d requests, expected %s"
                % (len(seen), "%d to %d" % (min(counts), max(counts)) if counts is not None else len(expected))
            )
        else:
            for a, b in zip(expected, seen):
                diffs += compare_probe(a, b, want.get("saw_target"), want["copied_agent"])
        if counts is None and want["conns"] is not None and (want["conns"] != got["conns"]):
            diffs.append("the backend had %d connections, expected %d" % (got["conns"], want["conns"]))
    diffs += compare_spool(want["spool"], got["spool"], got["clock"])
    if got["outside"]:
        diffs.append("written outside of the spool: %s" % ", ".join(got["outside"]))
    if not got["alive"]:
        diffs.append("the server died: %s" % got["log"])
    return diffs


def halist_lines(text):
    out = []
    for line in text.split("\n"):
        name, sep, rest = line.partition(" last_response=")
        try:
            out.append((name, json.loads(rest)) if sep else line)
        except ValueError:
            out.append(line)
    return out


def compare_cli(want, got):
    diffs = []
    codes = want["exit_code"] if isinstance(want["exit_code"], tuple) else (want["exit_code"],)
    if got["exit_code"] not in codes:
        diffs.append("exit code: expected %s, got %s" % ("/".join(map(str, codes)), got["exit_code"]))
    if want["command"] == "hashowdowned" and isinstance(want["stdout"], str) and (want["stdout"] != ANY):
        good = sorted(want["stdout"].split("\n")) == sorted(got["stdout"].split("\n"))
    elif want["command"] == "halist" and isinstance(want["stdout"], str) and (want["stdout"] != ANY):
        a, b = (halist_lines(want["stdout"]), halist_lines(got["stdout"]))
        good = len(a) == len(b) and all(
            (
                (
                    x[0] == y[0] and same_json(x[1], y[1], got["clock"])
                    if isinstance(x, tuple) and isinstance(y, tuple)
                    else x == y
                )
                for x, y in zip(a, b)
            )
        )
    else:
        good = same_text(want["stdout"], got["stdout"])
    if not good:
        diffs.append("stdout: expected %s, got %s" % (show(want["stdout"]), show(got["stdout"])))
    if want["stderr"] != ANY and bool(want["stderr"]) != bool(got["stderr"].strip()):
        diffs.append(
            "stderr: expected %s, got %s" % ("a message" if want["stderr"] else "nothing", show(got["stderr"]))
        )
    diffs += compare_spool(want["spool"], got["spool"], got["clock"])
    if want["mode"] and want["mode"] != got["mode"]:
        diffs.append("mode of the spool root: expected %s, got %s" % (want["mode"], got["mode"]))
    if sorted(want["outside"]) != sorted(got["outside"]):
        diffs.append("written outside of the spool: expected %s, got %s" % (want["outside"], got["outside"]))
    return diffs


def compare_startup(want, got):
    if want["started"] != got["started"]:
        return [
            "expected it to %s, but it %s: %s"
            % (
                "start" if want["started"] else "refuse to start",
                "started" if got["started"] else "ended with %s" % got["exit_code"],
                show(got["stderr"][-200:]),
            )
        ]
    diffs = []
    if not want["started"]:
        if not got["exit_code"] or got["exit_code"] < 0:
            diffs.append("exit code: expected above 0, got %s" % got["exit_code"])
        if not got["stderr"].strip():
            diffs.append("stderr: expected a message, got nothing")
        return diffs
    for port, listening in want["listening"].items():
        if got["listening"].get(port) != listening:
            diffs.append("port %s: expected %s" % (port, "listening" if listening else "not listening"))
    if want["on_sigterm"] == 0 and got["on_sigterm"] != 0:
        diffs.append(
            "on SIGTERM: expected exit 0 within 3 s, got %s"
            % ("no exit" if got["on_sigterm"] is None else got["on_sigterm"])
        )
    if want["mode"] and want["mode"] != got["mode"]:
        diffs.append("mode of the spool root: expected %s, got %s" % (want["mode"], got["mode"]))
    if want.get("post_status") and want["post_status"] != got.get("post_status"):
        diffs.append("POST to the spool: expected %s, got %s" % (want["post_status"], got.get("post_status")))
    return diffs


def judge(case, recorded, got, compare):
    """('pass' | 'accepted' | 'fail', text)"""
    decision = ACCEPT.get(case["name"])
    if decision is None and case.get("oddity"):
        return ("fail", "marked oddity, but ACCEPT has no decision for it")
    kind = decision["kind"] if decision else SAME
    diffs = compare(recorded, got)
    if kind != ONLY and (not diffs):
        return ("pass", "")
    closest = diffs if kind != ONLY else None
    for over in decision["alts"] if decision else ():
        other = compare(with_alternative(recorded, over), got)
        if not other:
            return ("accepted", decision["reason"])
        if kind == ONLY and (closest is None or len(other) < len(closest)):
            closest = other
    text = "; ".join(closest)
    if kind == ONLY:
        text += " [%s]" % decision["reason"]
    return ("fail", text)
