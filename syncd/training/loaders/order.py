"""In which order a stream goes through the rows, and which of them are one rank's. Used by `torch_datasets`; pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from syncd.domain.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class Order:
    """The options of a stream, as `TorchOptions` has them. ConfigError: a rank that is none."""

    shuffle: bool = False
    seed: int = 0
    rank: int | None = None
    world_size: int | None = None
    drop_last: bool = False

    def __post_init__(self) -> None:
        """Checked when it is asked for, not in a worker."""
        rank, world = self.rank, self.world_size
        if (rank, world) != (None, None) and (rank is None or world is None or not 0 <= rank < world):
            found = f"rank={rank}, world_size={world}"
            raise ConfigError([Problem("rank", found, "both, with rank from 0 to world_size - 1; or neither")])

    def share(self, count: int, epoch: int, place: tuple[int, int]) -> Any:
        """The places (0 to count - 1) that a rank reads in an epoch, in order: as many for each rank.

        `place`: rank and number of ranks where the options do not say. What does not divide evenly is left out, or
        made up for from the start of the order.
        """
        rank, world = (self.rank, self.world_size) if self.rank is not None and self.world_size else place
        parts = count // world if self.drop_last else -(-count // world)
        return np.resize(self._all(count, epoch), parts * world)[rank::world]

    def _all(self, count: int, epoch: int) -> Any:
        return np.random.default_rng([self.seed, epoch]).permutation(count) if self.shuffle else np.arange(count)
