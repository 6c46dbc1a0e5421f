"""What the sources say that the documents have to name: log lines, metrics, configuration keys."""
import re

from checks.swift_source import ROOT, code_of, line_of, shown, swift_files

_TEXT = re.compile(r'(?<!")"((?:[^"\\\n]|\\.)*)"(?!")')


def _first_argument(code, text, start):
    """The source of a call's first argument other than a log level; `start` is behind the opening parenthesis."""
    depth, i = 0, start
    if level := re.compile(r"\s*[^,]*\.(?:debug|info|notice|warning|error|critical)\s*,").match(code, start):
        i = start = level.end()
    while i < len(code) and not (depth == 0 and code[i] in ",)"):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(code[i], 0)
        i += 1
    return text[start:i]


def _calls(pattern):
    """(place, first argument) of every call that matches, in all sources."""
    for path in swift_files("Sources"):
        text = path.read_text()
        code = code_of(text)
        for found in re.finditer(pattern + r"\(", code):
            yield f"{shown(path)}:{line_of(code, found.start())}", _first_argument(code, text, found.end())


def log_lines():
    """Words → a place, of everything that is logged for an operator (debug lines are not)."""
    words = {}
    for place, argument in _calls(r"\b(?:[lL]og(?:ger)?\.(?:info|notice|warning|error|critical|log)|handler\.line)"):
        found = _TEXT.findall(argument)
        if not found and re.fullmatch(r"\s*words\s*", argument):
            found = _words_above(place)
        if not found:
            words[f"({argument.strip()})"] = place
        # A sentence that goes on after a colon with what was found: its beginning counts.
        words.update({re.split(r":? ?\\\(", text)[0]: place for text in found})
    return words


def _words_above(place):
    """The texts that a `let words = …` right above a log call chooses from."""
    path, line = place.split(":")
    above = "\n".join((ROOT / path).read_text().splitlines()[max(0, int(line) - 8):int(line)])
    return _TEXT.findall(above[above.rfind("let words"):].rsplit("logger.", 1)[0])


def metrics():
    """Name → (place, kind) of every metric that the agents and their tools write."""
    found = {}
    for kind in ("counter", "gauge", "histogram"):
        for place, argument in _calls(rf"\b(?:metrics|self)\.{kind}"):
            for name in _TEXT.findall(argument):
                if "\\(" not in name:
                    found[name] = place, kind
    texts = {str(shown(path)): path.read_text() for path in swift_files("Sources")}
    for path, text in texts.items():
        for name in re.findall(r'\("(process_[a-z_]+)", ', text):
            found.setdefault(name, (path, "gauge"))
    return {**found, **_figures(texts)}


def _figures(texts):
    """The figures of one run of a tool: names whose common beginning, the tool's, stands apart from the rest."""
    set_call = re.compile(r'\bset\(\s*"([a-z_]+)"')
    # What every tool has, where it is set by the type that they share.
    common = [name for text in texts.values() if 'gauge("\\(tool)_\\(name)"' in text for name in set_call.findall(text)]
    found = {}
    for path, text in texts.items():
        for tool in re.findall(r'(?:gauge\("|ConfigureFigures\(")(configure_[a-z]+)(?:_\\\(name\))?"', text):
            for name in [*common, *set_call.findall(text)]:
                found[f"{tool}_{name}"] = path, "gauge"
    return found


# Sources that read configurations and hold words which look like keys, but are a report's.
NO_READERS = ("Sources/NerveAgent/Agent/", "Sources/SynapseAgent/Agent/", "Sources/OperatorTools/Inspect/")
# Words in the readers of configurations that are not keys of a file, by their use.
NO_KEYS = {
    "figures of a run": "duration_seconds last_run_timestamp_seconds skipped local_services success warnings",
    "arguments of the command line": "bind-address config-file n num-procs p spool-root v verbose configuration",
    "values": "connected nerve-redis-service-check ephemeral_sequential guest us-east-1 stdout stderr infrastructure "
              "superregion",
    "ends of names of metrics": "fetch_failure switch",
    "units of a time": "h m ms s us d",
    "words of HAProxy, and of nginx's section": "path_beg unix reuseport listen_options server timestamp",
    "what the agent keeps in a state file": "watcher_config_for_generator",
    "a plugin's file and place": "path_based_routing.lua plugins.path_based_routing",
    "names and options of programs": "clean_nerve hastatus smartstack-status simulate cluster-type zk-tls t mark",
    "a system call": "rename",
    "what is counted in a sentence": "namespace registration",
    "headers": "x-nerve-check-ip x-smartstack-target-identity content-type",
    "words of AWS and Marathon": "ec2 instance-state-name running ports startedAt",
}


def configuration_keys():
    """Key → places. Any text that looks like a key, in any source that reads configurations, counts as one."""
    excluded = {word for words in NO_KEYS.values() for word in words.split()}
    keys = {}
    for path in swift_files("Sources"):
        text = path.read_text()
        name = str(shown(path))
        is_reader = re.search(r"import (YAMLConfig|Topology)\b", text) or name.startswith("Sources/Topology/")
        if not is_reader or name.startswith(NO_READERS):
            continue
        for found in _TEXT.finditer(text):
            if re.fullmatch(r"[a-z][a-zA-Z0-9_.-]*", found[1]) and found[1] not in excluded:
                keys.setdefault(found[1], f"{shown(path)}:{line_of(text, found.start())}")
        # Built-in defaults, as YAML in a text of several lines.
        for block in re.findall(r'= """\n(.*?)"""', text, re.S):
            keys.update({key: str(shown(path)) for key in re.findall(r"^ {4}([a-z][a-z_.]*):", block, re.M)})
    return keys
