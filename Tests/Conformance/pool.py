"""Several worlds side by side, each with one worker that runs one case after the other."""

import json
import os
import queue
import select
import shutil
import subprocess
import sys
import tempfile
import threading

from cases import verdict

import world

CASE_LIMIT_S = 120


class WorkerDied(Exception):
    pass


class Worker:
    """`run --worker KIND` in a world of its own: a job per line in, a list of verdicts per line out."""

    def __init__(self, kind, bindir, folder):
        os.makedirs(folder)
        self.log = open(os.path.join(folder, "worker.log"), "wb+")
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run")
        self.process = subprocess.Popen(
            world.namespace_command([sys.executable, program, "--worker", kind, "--bindir", bindir]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            start_new_session=True,
            env=dict(os.environ, **{world.SCRATCH: folder}),
        )
        self.receive()

    def run(self, job):
        self.process.stdin.write(json.dumps(job).encode() + b"\n")
        self.process.stdin.flush()
        return self.receive()

    def receive(self):
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], CASE_LIMIT_S)
            part = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not part:
                self.log.seek(0)
                last = self.log.read().decode(errors="replace").strip().split("\n")[-1]
                raise WorkerDied("the worker ended: " + last if ready else f"no answer within {CASE_LIMIT_S} s")
            line += part
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def run_jobs(kind, jobs, bindir, workers, on_verdict=lambda _: None):
    """Runs jobs (lists of case names), the first ones first, and returns {case name: verdict}."""
    todo, results, lock = queue.Queue(), {}, threading.Lock()
    for job in jobs:
        todo.put(job)
    scratch = tempfile.mkdtemp(prefix="conformance.")
    os.chmod(scratch, 0o755)

    def done(verdicts):
        with lock:
            for one in verdicts:
                results[one["case"]] = one
                on_verdict(one)

    def feed(number):
        worker, generation = None, 0
        while True:
            try:
                job = todo.get_nowait()
            except queue.Empty:
                break
            try:
                if worker is None:
                    generation += 1
                    worker = Worker(kind, bindir, os.path.join(scratch, f"{number}.{generation}"))
                done(worker.run(job))
            except (WorkerDied, OSError) as error:
                done([verdict(kind, name, f"the harness broke: {error}") for name in job])
                if worker:
                    worker.process.kill()
                    worker.close()
                worker = None
        if worker:
            worker.close()

    threads = [threading.Thread(target=feed, args=(i,), daemon=True) for i in range(min(workers, len(jobs)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shutil.rmtree(scratch, ignore_errors=True)
    return results
