#!/usr/bin/env python3
"""What planning costs, in one run: coldswap (inventory read from its store, rules, assignment, every step composed and
audited) beside what the assignment alone costs others, of the very same nodes and preferences: a naive loop in Python, and
scipy.optimize.linear_sum_assignment, for each class of hardware and where no two nodes are alike, if scipy can be imported.

    planning.py [--sizes 12500,25000,50000] [--check]

The others are given the nodes as numbers and work out costs and assignment; coldswap works them out from rules. What is
held low is the same, the number of sources served from the later pool and then the weights of the preferences missed, so
scipy's answer must be as good as coldswap's, and no better.
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLASSES, ROWS, RACKS = 30, 20, 200
DIFFERENT = 7000
# More than all weights together: first the pools, then the preferences.
LATER_POOL = 10**7
# On two cores that do nothing else: seconds and MiB for 50,000 nodes, and seconds for the case without classes.
BOUND_WALL, BOUND_MIB, BOUND_DIFFERENT = 2.0, 500, 5.0

try:
    import numpy
    from scipy.optimize import linear_sum_assignment
except ImportError:
    numpy = None


def coldswap(cases):
    command = ["cargo", "bench", "--locked", "--quiet", "--bench", "planning", "--", *cases]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class Numbers:
    """Those of planning.rs."""

    def __init__(self):
        self.state = 7

    def below(self, most):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % most


def fleet(nodes):
    """Class, rack and feed of the sources and of the spares, as planning.rs makes them."""
    numbers, sources, spares = Numbers(), [], []
    for at in range(nodes):
        if at % 20 < 4:
            numbers.below(3)
        rack, _, _ = numbers.below(RACKS), numbers.below(10**6), numbers.below(10**6)
        if at % 20 < 9:
            (sources if at % 20 < 4 else spares).append((at // 20 % CLASSES, rack, at % 2))
    return sources, spares


def different():
    """Age, place and feed of 2,000 sources and 5,000 spares."""
    numbers, made = Numbers(), []
    for at in range(DIFFERENT):
        numbers.below(RACKS)
        made.append((numbers.below(10**6), numbers.below(10**6), at % 2))
    return made[5000:], made[:5000]


def naive(sources, spares):
    """Each source takes the cheapest spare that is left: not the best assignment."""
    total = served = 0
    free = [[s for s in spares if s[0] == kind] for kind in range(CLASSES)]
    for kind, rack, feed in sources:
        if free[kind]:
            cost = lambda s: (LATER_POOL if s[1] % ROWS != rack % ROWS else 0) + (10 if s[1] != rack else 0) + (4 if s[2] == feed else 0)
            best = min(range(len(free[kind])), key=lambda at: cost(free[kind][at]))
            total, served = total + cost(free[kind].pop(best)), served + 1
    return served, total


def by_class(sources, spares):
    total = served = 0
    a, b = numpy.array(sources), numpy.array(spares)
    for kind in range(CLASSES):
        x, y = a[a[:, 0] == kind], b[b[:, 0] == kind]
        rack, feed = x[:, 1, None], x[:, 2, None]
        costs = LATER_POOL * (rack % ROWS != y[None, :, 1] % ROWS) + 10 * (rack != y[None, :, 1]) + 4 * (feed == y[None, :, 2])
        rows, columns = linear_sum_assignment(costs)
        total, served = total + int(costs[rows, columns].sum()), served + len(rows)
    return served, total


def at_once(sources, spares):
    a, b = numpy.array(sources), numpy.array(spares)
    older = b[None, :, 0] >= a[:, 0, None]
    apart = abs(b[None, :, 1] - a[:, 1, None]) >= 1000
    costs = 3 * older + 5 * apart + 4 * (b[None, :, 2] == a[:, 2, None])
    rows, columns = linear_sum_assignment(costs)
    return len(rows), int(costs[rows, columns].sum())


def measured(work, *args):
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    served, total = work(*args)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{served:8} {total // LATER_POOL:7} {total % LATER_POOL:8} {'':7} {wall:7.2f} {cpu:7.2f} {'':6}", (total // LATER_POOL, total % LATER_POOL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="12500,25000,50000")
    parser.add_argument("--check", action="store_true", help="fail where a bound is passed, or scipy's answer is another")
    args = parser.parse_args()
    sizes = [int(n) for n in args.sizes.split(",")]
    print(f"load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    runs = coldswap([*map(str, sizes), "different"])
    print(f"{'nodes':>8} {'planned':>8} {'later':>7} {'missing':>8} {'read s':>7} {'wall s':>7} {'CPU s':>7} {'MiB':>6}")
    best, worth = {}, {}
    for run in runs:
        print(
            f"{run['nodes']:8} {run['planned']:8} {run['later_pool']:7} {run['missing']:8} {run['read_s']:7.2f} {run['wall_s']:7.2f} "
            f"{run['cpu_s']:7.2f} {run['peak_mib']:6}  coldswap: store, rules, assignment, steps, audit"
        )
        best[run["nodes"]] = min(best.get(run["nodes"], run), run, key=lambda r: r["wall_s"])
        worth[run["nodes"]] = (run["later_pool"], run["missing"])
    print("\nthe assignment alone")
    wrong = []
    if numpy is None:
        print("scipy cannot be imported: left out (pip install scipy numpy)")
    for nodes in sizes:
        text, _ = measured(naive, *fleet(nodes))
        print(f"{nodes:8} {text}  a loop in Python: not the best")
        if numpy is not None:
            text, found = measured(by_class, *fleet(nodes))
            print(f"{nodes:8} {text}  scipy, class by class")
            wrong += [f"{nodes}: scipy finds {found}, coldswap {worth[nodes]}"] if found != worth[nodes] else []
    if numpy is not None:
        text, found = measured(at_once, *different())
        print(f"{DIFFERENT:8} {text}  scipy, all at once")
        wrong += [f"{DIFFERENT}: scipy finds {found}, coldswap {worth[DIFFERENT]}"] if found != worth[DIFFERENT] else []
    per_node = [1e6 * best[n]["wall_s"] / n for n in sizes]
    print("\nmicroseconds for each node of the fleet: " + ", ".join(f"{n}: {us:.0f}" for n, us in zip(sizes, per_node)))
    print("\n".join(wrong) or "where both were asked, the answers are equally good")
    if args.check:
        for nodes, run in best.items():
            bound = BOUND_DIFFERENT if nodes == DIFFERENT else BOUND_WALL
            if run["wall_s"] > bound or (nodes != DIFFERENT and run["peak_mib"] > BOUND_MIB):
                wrong.append(f"{nodes} nodes: {run['wall_s']} s, {run['peak_mib']} MiB")
        sys.exit("more than allowed, or another answer: " + "; ".join(wrong) if wrong else 0)


if __name__ == "__main__":
    main()
