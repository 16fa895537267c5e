"""How long the demonstration waits: also on a machine five times slower than a PC that has other work to do.

It starts sixteen interpreters. What has ended is noticed at once; this is for what may still be coming.
"""

PATIENCE_S = 180.0  # for each step: on a quiet PC the longest, the day, takes 25 seconds
ANSWER_PATIENCE_S = 60.0  # for one answer: what was lost can be asked again within its step

_ASK_TIMEOUT_MIN_S = 1.0


def compute_ask_timeout_s(waited_s: float) -> float:
    """Return how long to wait for an answer of a process that is starting, after `waited_s` of asking.

    A request before its service is there is lost, so it is asked again; a slow machine needs longer to answer.
    A tenth of the wait so far does for both.
    """
    return max(_ASK_TIMEOUT_MIN_S, waited_s / 10)
