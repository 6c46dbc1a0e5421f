"""What of upstream's files is ours, by the numbers of docs/compatibility.md."""
import copy
import re

from configure import same
from configure_synapse import longest_endpoint_first, modern_lines, without_folder
from known import explained


def compare(who, names, upstream, ours):
    """(problems, known differences)"""
    if "error" in upstream or upstream["file"] == {}:
        if ours["status"] in (1, 3) and all(name in ours["errors"] for name in names):
            return [], ["upstream writes nothing, ours names the service (11, 13, 14)"]
        return [f"upstream fails ({upstream.get('error')}), ours: status {ours['status']} {ours['errors'].strip()}"], []
    if ours["file"] is None:
        return [f"nothing is written: {ours['errors'].strip()}"], []
    wanted, found = copy.deepcopy(upstream["file"]), copy.deepcopy(ours["file"])
    if who == "synapse":
        modernize(wanted)
        for file in (wanted, found):
            file["haproxy"]["global"] = [without_folder(line) for line in file["haproxy"]["global"]]
    places, left, status = explained(ours["errors"])
    if (difference := same(wanted, found)) or left or ours["status"] != status:
        return [f"{difference or 'equal'}; status {ours['status']} {ours['errors'].strip()}"], []
    return [], sorted(places)


def modernize(file):
    """Number 12, and 13 for the order of endpoints."""
    services, haproxy = file["services"], file["haproxy"]
    haproxy["defaults"] = modern_lines(haproxy["defaults"])
    for section in (service["haproxy"] for service in services.values()):
        for part in ("frontend", "backend"):
            if part in section:
                section[part] = [without_empty_headers(line) for line in modern_lines(
                    # Upstream strips the line, and with it the value of an empty header.
                    line + " " if line.endswith(":\\") else line for line in section[part])]
        if "frontend" in section:
            section["frontend"] = longest_endpoint_first(section["frontend"])


def without_empty_headers(line):
    line = re.sub('^http-request set-header (\\S+) ""$', r"http-request del-header \1", line)
    return re.sub(r' hdr (\S+) ""', r' hdr \1 "%[str()]"', line)
