"""An answer of /metrics, read by prometheus_client's own parser."""

from __future__ import annotations

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


class Scraped:
    """Every sample, by name and labels."""

    def __init__(self, text: str) -> None:
        self.families: dict[str, Metric] = {one.name: one for one in text_string_to_metric_families(text)}
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """KeyError if there is no such sample."""
        return self._values[name, frozenset(labels.items())]

    def find(self, name: str, **labels: str) -> float | None:
        return self._values.get((name, frozenset(labels.items())))

    def __contains__(self, name: str) -> bool:
        return any(name == found for found, _ in self._values)

    @property
    def names(self) -> set[str]:
        """Of all samples and families."""
        return {name for name, _ in self._values} | set(self.families)
