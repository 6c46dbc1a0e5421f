"""Upstream's configure_nerve and configure_synapse in one process: a folder per line in, a line of JSON out.

Runs with Python 3.8 and the packages that `make conformance-upstream` installs, on the private machine of its caller, whose
/nail/etc/services is that folder. Each line is answered by a child, so that what one service breaks is gone with it.
"""
import contextlib
import io
import json
import os
import sys
import traceback

import nerve_tools.configure_nerve as configure_nerve
import synapse_tools.configure_synapse as configure_synapse
from paasta_tools.marathon_tools import get_all_namespaces, get_puppet_services_running_here_for_nerve


def nerve():
    listed = json.loads(json.dumps(get_puppet_services_running_here_for_nerve("/nail/etc/services")))
    services = [tuple(pair) for pair in listed]
    config = configure_nerve.generate_configuration(
        services=services, heartbeat_path="/var/run/nerve/heartbeat", hacheck_port=6666,
        zk_topology_dir="/nail/etc/zookeeper_discovery", zk_location_type="superregion", zk_cluster_type="infrastructure",
        labels_dir="/etc/nerve/labels.d/", envoy_ingress_listeners={})
    return {"file": json.loads(json.dumps(config)), "services": services}


def synapse():
    # In the order of names: os.listdir's is any.
    namespaces = sorted(get_all_namespaces("/nail/etc/services"), key=lambda pair: pair[0].split(".")[0])
    config = configure_synapse.generate_configuration(
        configure_synapse.get_config("/etc/synapse/synapse-tools.conf.json"),
        configure_synapse.get_zookeeper_topology("/nail/etc/zookeeper_discovery/infrastructure/local.yaml"), namespaces,
        {"migration_enabled": False})
    return {"file": json.loads(json.dumps(config))}


def answer():
    out = {}
    for name, program in (("nerve", nerve), ("synapse", synapse)):
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                out[name] = program()
        except BaseException:
            out[name] = {"error": traceback.format_exc().strip().splitlines()[-1]}
    return out


def main():
    print(json.dumps("ready"), flush=True)
    for _ in sys.stdin:
        read, write = os.pipe()
        if os.fork() == 0:
            with os.fdopen(write, "w") as pipe:
                json.dump(answer(), pipe)
                pipe.flush()
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            text = pipe.read()
        os.wait()
        print(text or json.dumps({"nerve": {"error": "it died"}, "synapse": {"error": "it died"}}), flush=True)


main()
