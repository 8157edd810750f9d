"""Times of several sides, taken in turns: what slows a machine down for a while then meets all of them."""

import statistics
import time

STEADY = 0.1  # spread of a ratio that needs no more rounds
PAUSE_S = 0.2  # before each side: idle threads of the one before stop spinning


def host_milliseconds(run, seconds):
    """The times of runs that fill this many seconds, three at least, after one that warms up; of runs over two seconds
    the warming one is not left out, and there are two."""

    def timed():
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) * 1e3

    first = timed()
    if first > 2000:
        return [first, timed()]
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        times.append(timed())
    return times


def cuda_milliseconds(run, seconds):
    """The same by a GPU's clock: events round each run, all enqueued before the first is waited for, as fathom_bench
    does it."""
    import torch

    def timed(runs):
        pairs = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(runs)]
        for before, after in pairs:
            before.record()
            run()
            after.record()
        torch.cuda.synchronize()
        return [before.elapsed_time(after) for before, after in pairs]

    timed(3)
    first = statistics.median(timed(5))
    return timed(int(min(max(1e3 * seconds / first, 5), 2000)))


def ratios_to_fathom(rounds, name):
    return [times[name] / times["fathom"] for times in rounds]


def spread(ratios):
    """The middle half of the rounds' ratios, from end to end, over their median."""
    if len(ratios) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return (high - low) / middle


def measure_in_turns(sides, least, most, progress, pause_s=PAUSE_S):
    """sides: {name: a function that measures milliseconds} -> rounds, [{name: milliseconds}]. Every second round goes
    backwards. After `least` rounds more follow, up to `most`, while a ratio is not steady."""
    rounds = []
    while len(rounds) < least or (
        len(rounds) < most and max(spread(ratios_to_fathom(rounds, name)) for name in sides) > STEADY
    ):
        order = list(sides) if len(rounds) % 2 == 0 else list(reversed(sides))
        times = {}
        for name in order:
            time.sleep(pause_s)
            times[name] = sides[name]()
        rounds.append({name: times[name] for name in sides})
        progress(f"round {len(rounds)} of {least} to {most}")
    return rounds
