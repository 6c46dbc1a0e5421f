"""Which recorded hacheck cases one server may serve, and in which order they run."""

import json
import re

from cases import recorded
from hacheck_accept import ACCEPT

# Cases that one server serves one after the other.
SHARED_CHUNK = 16


def effective_config(case):
    decision = ACCEPT.get(case["name"])
    config = dict(case.get("config") or {})
    if decision and decision["config"]:
        config.update(decision["config"])
    return config


def shareable(case):
    """Only the spool is involved: nothing of one case can be seen by the next in the same server."""
    if case.get("backend") or case["name"] in ("bad_request_line", "header_too_big"):
        return False
    for step in case["request"] if isinstance(case["request"], list) else [case["request"]]:
        if "sleep" in step:
            continue
        target = step["raw"].split(" ")[1] if "raw" in step and " " in step["raw"] else step.get("path", "")
        if re.match("/(http|https|tcp|mysql|smtp|recent|status)\\b", target):
            return False
    return True


def seconds_of(case):
    """A guess, to start the long ones first."""
    waits = sum(
        s.get("sleep", 0) for s in (case["request"] if isinstance(case["request"], list) else [case["request"]])
    )
    backend = case.get("backend") or {}
    waits += backend.get("hang", 0) + backend.get("delay", 0)
    answers = case["response"] if isinstance(case["response"], list) else [case["response"]]
    return waits + sum(a.get("elapsed_s_approx", 0) for a in answers)


def jobs_of(kind, names):
    """Lists of case names: those that one server may serve together, the long ones first."""
    cases, jobs, groups = recorded(kind), [], {}
    for name in names:
        case = cases[name]
        if kind == "hacheck-contract" and shareable(case):
            groups.setdefault(json.dumps(effective_config(case), sort_keys=True), []).append(name)
        else:
            jobs.append((seconds_of(case) if kind == "hacheck-contract" else 1, [name]))
    for group in groups.values():
        for i in range(0, len(group), SHARED_CHUNK):
            part = group[i : i + SHARED_CHUNK]
            jobs.append((0.02 * len(part), part))
    return [names for _, names in sorted(jobs, key=lambda job: -job[0])]
