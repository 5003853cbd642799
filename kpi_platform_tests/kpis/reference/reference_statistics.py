"""The slow, obvious reference of the intervals: roots and quantiles by search, not by formula.

Belongs here: plain Python over numbers. Does not: any code of the engine, and anything clever.
"""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist, fmean, variance

Z = NormalDist().inv_cdf(0.975)
Bounds = tuple[float | None, float | None]
NONE: Bounds = (None, None)


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function crosses 0."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2


def wilson(k: float, n: float) -> Bounds:
    """The shares that a score test at 5 % does not refute: |k / n - p| = z sqrt(p (1 - p) / n)."""
    if not n:
        return NONE
    share = k / n

    def distance(p: float) -> float:
        return n * (share - p) ** 2 - Z**2 * p * (1 - p)

    low = 0.0 if k == 0 else root(lambda p: -distance(p), 0, share)
    high = 1.0 if k == n else root(distance, share, 1)
    return low, high


def newcombe(
    k1: float, n1: float, k2: float, n2: float
) -> tuple[float | None, float | None, float | None]:
    """The difference of two shares with Newcombe's bounds, from Wilson's of each."""
    (l1, u1), (l2, u2) = wilson(k1, n1), wilson(k2, n2)
    if l1 is None or u1 is None or l2 is None or u2 is None:
        return None, None, None
    p1, p2 = k1 / n1, k2 / n2
    low = p1 - p2 - math.hypot(p1 - l1, u2 - p2)
    return p1 - p2, low, p1 - p2 + math.hypot(u1 - p1, p2 - l2)


def t975(df: float) -> float:
    """The 97.5 % quantile of Student's t, by integrating its density (substituting tan)."""

    def upper_half(t: float) -> float:
        # With t = sqrt(df) tan(u), the density is cos(u) ** (df - 1) up to a constant.
        end, steps = math.atan(t / math.sqrt(df)), 2000
        width = end / steps
        values = [math.cos(i * width) ** (df - 1) for i in range(steps + 1)]
        simpson = values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2])
        constant = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(math.pi)
        return simpson * width / 3 * constant

    return root(lambda t: upper_half(t) - 0.475, 0, 20)


def mean_bounds(values: Sequence[float]) -> Bounds:
    """Student's interval of a mean."""
    if len(values) < 2:
        return NONE
    half = t975(len(values) - 1) * math.sqrt(variance(values) / len(values))
    return fmean(values) - half, fmean(values) + half


def welch(
    a: Sequence[float], b: Sequence[float]
) -> tuple[float | None, float | None, float | None]:
    """The difference of two means with Welch's bounds."""
    if not a or not b:
        return None, None, None
    difference = fmean(a) - fmean(b)
    if len(a) < 2 or len(b) < 2:
        return difference, None, None
    va, vb = variance(a) / len(a), variance(b) / len(b)
    if va + vb == 0:
        return difference, None, None
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    # Fewer than 3 degrees of freedom are rounded down.
    half = t975(df if df >= 3 else math.floor(df)) * math.sqrt(va + vb)
    return difference, difference - half, difference + half


def byar(events: int, exposure: int) -> Bounds:
    """Byar's bounds of a rate per 1,000."""
    if not exposure:
        return NONE
    more = events + 1
    low, high = 0.0, more * (1 - 1 / (9 * more) + Z / (3 * more**0.5)) ** 3
    if events:
        low = events * (1 - 1 / (9 * events) - Z / (3 * events**0.5)) ** 3
    return 1000 * low / exposure, 1000 * high / exposure


def pearson(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Pearson's correlation; None where either does not vary."""
    if len(set(xs)) < 2 or len(set(ys)) < 2:
        return None
    mx, my = fmean(xs), fmean(ys)
    cov = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True))
    return cov / math.sqrt(sum((x - mx) ** 2 for x in xs) * sum((y - my) ** 2 for y in ys))


def fisher(r: float | None, n: int) -> Bounds:
    """Fisher's bounds of a correlation."""
    if r is None or n <= 3 or abs(r) >= 1:
        return NONE
    half = Z / math.sqrt(n - 3)
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def chi_square_p(x: float, df: int) -> float:
    """The chance of a chi-square to be as great, or greater: its density, integrated."""
    # With t = u * u the density is finite at 0 for one degree of freedom, too.
    end, steps = math.sqrt(x), 4000
    width = end / steps

    def density(u: float) -> float:
        return 2 * u ** (df - 1) * math.exp(-u * u / 2)

    values = [density(i * width) for i in range(steps + 1)]
    simpson = values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2])
    return 1 - simpson * width / 3 / (2 ** (df / 2) * math.gamma(df / 2))
