"""Histograms that hot paths can afford: counted in plain numbers, shown to Prometheus as any other.

Used by `metrics`. The client's own histogram takes a lock for every number it changes, several times what it takes to
count; an event that comes in is timed four times. So: to be observed by the event loop's thread alone.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import REGISTRY
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Series:
    """What was observed under some labels. `bounds`: upper ones, in seconds, ascending."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class Durations(Collector):
    """A histogram of seconds in the default registry. `buckets`: upper bounds, ascending, without infinity."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], *, buckets: Sequence[float]) -> None:
        self.name = name
        self.documentation = documentation
        self.label_names = tuple(labels)
        self._bounds = tuple(map(float, buckets))
        self._series: dict[tuple[str, ...], Series] = {}
        REGISTRY.register(self)

    def labels(self, *values: str) -> Series:
        """The series of these labels, in the order of their names."""
        if (series := self._series.get(values)) is None:
            series = self._series[values] = Series(self._bounds)
        return series

    def describe(self) -> Iterable[Metric]:
        """Its name, as the registry wants it."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        """All series."""
        family = self._family()
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        for values, series in list(self._series.items()):
            family.add_metric(values, list(zip(names, accumulate(series.counts), strict=True)), series.total)
        return [family]

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self.name, self.documentation, labels=self.label_names)
