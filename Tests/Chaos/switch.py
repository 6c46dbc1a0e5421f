"""A switch between the machines of a world, with bad cables on demand: it needs no module of the kernel but tun.

  switch.py NAME=FD…       each FD is a tap, the interface of the machine NAME

Each line of standard input replaces all effects and is answered with a line: a list of
`{"from": NAME, "to": NAME, "loss": 0.05, "delay": 0.02, "rate": 8000}` with `*` for any machine, losses as shares, delays
in seconds and rates in bytes per second. The first that fits a frame counts.
"""
import heapq
import json
import os
import random
import select
import sys
import time

FRAME = 65536
# What a slow cable holds back at most; what comes on top is lost.
QUEUE_SECONDS = 2
BROADCAST = 1


class Effect:
    def __init__(self, source, target, loss=0, delay=0, rate=None):
        self.source, self.target, self.loss, self.delay, self.rate = source, target, loss, delay, rate
        self.free = 0.0

    def fits(self, source, target):
        return self.source in ("*", source) and self.target in ("*", target)

    def due(self, size, now):
        """When a frame of this size arrives; None: never."""
        if self.loss and random.random() < self.loss:
            return None
        if self.rate:
            start = max(now, self.free)
            if start - now > QUEUE_SECONDS:
                return None
            self.free = start + size / self.rate
            return self.free + self.delay
        return now + self.delay


class Switch:
    def __init__(self, taps):
        self.taps = taps
        self.names = {tap: name for name, tap in taps.items()}
        self.effects, self.learned, self.waiting, self.sent = [], {}, [], 0

    def run(self):
        poll = select.epoll()
        for tap in self.taps.values():
            os.set_blocking(tap, False)
            poll.register(tap, select.EPOLLIN)
        poll.register(sys.stdin.fileno(), select.EPOLLIN)
        while True:
            pause = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else -1
            for ready, _ in poll.poll(pause):
                if ready == sys.stdin.fileno():
                    line = sys.stdin.buffer.raw.readline()
                    if not line:
                        return
                    self.effects = [Effect(one.pop("from"), one.pop("to"), **one) for one in json.loads(line)]
                    print("done", flush=True)
                else:
                    self.drain(ready)
            now = time.monotonic()
            while self.waiting and self.waiting[0][0] <= now:
                self.write(*heapq.heappop(self.waiting)[2:])

    def drain(self, tap):
        for _ in range(64):
            try:
                frame = os.read(tap, FRAME)
            except OSError:  # no more of them, or the machine has gone
                return
            self.learned[frame[6:12]] = tap
            known = None if frame[0] & BROADCAST else self.learned.get(frame[:6])
            for target in [known] if known else self.taps.values():
                if target != tap:
                    self.send(frame, tap, target)

    def send(self, frame, tap, target):
        source, name = self.names[tap], self.names[target]
        for effect in self.effects:
            if effect.fits(source, name):
                due = effect.due(len(frame), time.monotonic())
                if due is not None:
                    self.sent += 1
                    heapq.heappush(self.waiting, (due, self.sent, frame, target))
                return
        self.write(frame, target)

    @staticmethod
    def write(frame, target):
        try:
            os.write(target, frame)
        except OSError:
            pass  # as a switch does with what a machine does not take


if __name__ == "__main__":
    Switch({name: int(tap) for name, tap in (word.split("=") for word in sys.argv[1:])}).run()
