"""Tests of the model behind `make fleet`."""
import contextlib
import io
import unittest

from benchmarks.fleet_model import Fleet, Shape, causes, fit, late, scaled, show, solve, urgent

SMALL = Shape(services=100, tasks=1000, each=5)
COST = {"list": 10_000, "watch": 10_000, "read": 2_000, "write": 2_000, "events": 4_000, "bytes": 8_000_000}


class ModelTests(unittest.TestCase):
    def test_units_follow_hosts_paths_registrations_and_changes(self):
        larger, wider = Fleet(500, SMALL), Fleet(100, Shape(services=200, tasks=1000, each=5))
        known = Fleet(100, SMALL)
        for scenario, wanted, grown in (
                ("start", larger, {"list": 5, "read": 5, "bytes": 5, "write": 1}),
                ("start", wider, {"list": 2, "watch": 2, "read": wider.shape.known / SMALL.known}),
                ("restart, all at once", wider, {"list": 1, "watch": 2, "read": wider.shape.known / SMALL.known}),
                ("rest", wider, {"list": 1, "read": 1, "bytes": 2}),
                ("deploy", larger, {"list": 5, "read": 5, "events": 5, "write": 1}),
                ("deploy", wider, {"read": 1, "events": 1, "write": 1}),
                ("push", wider, {"list": 1, "events": wider.shape.all / SMALL.all, "write": wider.shape.all / SMALL.all}),
                # The host that flaps has a fifth of the tasks in a fleet of five times as many hosts; all hosts hear of it.
                ("flap", larger, {"events": 1, "write": 0.2})):
            found = scaled(COST, scenario, known, wanted)
            for key, factor in grown.items():
                self.assertAlmostEqual(found[key], COST[key] * factor, msg=f"{scenario}, {key}")

    def test_what_a_server_spends_is_found_again(self):
        rates = [50e-6, 5e-6, 2e-3]
        rows = [(x, sum(a * b for a, b in zip(rates, x))) for x in (
            (10_000, 0, 8.0), (2_000, 100_000, 30.0), (40_000, 20_000, 60.0), (500, 1_000, 1.0))]
        for found, true in zip(fit(rows), rates):
            self.assertAlmostEqual(found, true)

    def test_no_rate_is_negative(self):
        self.assertTrue(all(rate >= 0 for rate in fit([((10, 0, 1.0), 5.0), ((10, 100, 1.0), 1.0), ((1, 1, 9.0), 2.0)])))
        self.assertEqual(fit([((0, 0, 0.0), 1.0)]), [0.0] * 3)

    def test_equations(self):
        self.assertEqual(solve([[0.0, 2.0], [4.0, 0.0]], [2.0, 8.0]), [2.0, 1.0])
        self.assertIsNone(solve([[1.0, 2.0], [2.0, 4.0]], [1.0, 2.0]))

    def test_work_that_fits_into_the_change_delays_nothing(self):
        self.assertEqual(late({"p99": 0.5, "duration": 40}, 10, 39), 0.5)
        self.assertEqual(late({"p99": 0.5, "duration": 40}, 10, 50), 10.5)
        self.assertEqual(late({"p99": 3.0, "duration": 0}, 2, 10), 11.0)
        self.assertEqual(late({"p99": 3.0, "duration": 10}, 5, 90, 100), 3.0)

    def test_the_truth_does_not_wait_for_what_is_read_again(self):
        fleet = Fleet(10, SMALL)
        self.assertEqual(urgent(COST, "start", fleet), COST)
        found = urgent({**COST, "watch": 10}, "restart, all at once", fleet)
        self.assertEqual((found["read"], found["bytes"]), (10, 110_000))

    def test_tables_are_printed(self):
        cost = {**COST, "server_cpu": 1.0, "session_cpu": 1.0, "p99": 1.0, "duration": 0.0}
        costs = {name: cost for name in ("start", "rest", "deploy", "push", "flap", "restart", "start of readers")}
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            show(SMALL, [(100, costs), (500, costs)], 2)
        self.assertEqual(text.getvalue().count("\n  restart "), 3)

    def test_causes(self):
        self.assertEqual(causes(COST), (24_000, 4_000, 8.0))


if __name__ == "__main__":
    unittest.main()
