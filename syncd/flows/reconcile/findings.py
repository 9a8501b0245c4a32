"""What a look found, and how much of it is believed."""

from dataclasses import dataclass, field

SAMPLE = 20


@dataclass
class Findings:
    """What a look found, as counts, with the first few names of each kind for a person."""

    seen: int = 0
    known: int = 0
    new: int = 0
    changed: int = 0
    gone: int = 0
    doubled: int = 0
    orphaned: int = 0
    refused: str = ""
    """Why the deletions found were not believed; empty where they were."""
    resumed: bool = False
    """Whether the first part was looked at by an earlier run, that ended in the middle; the counts are of both."""
    samples: dict[str, list[str]] = field(default_factory=dict)

    def count(self, what: str, name: str) -> None:
        """One more of a kind (`new`, `changed`, `gone`, `doubled`, `orphaned`)."""
        setattr(self, what, getattr(self, what) + 1)
        names = self.samples.setdefault(what, [])
        if len(names) < SAMPLE:
            names.append(name)


@dataclass(frozen=True, slots=True)
class Caution:
    """How much one look may take away: at most this share of what is known; a dry run marks nothing."""

    retire_limit: float = 0.5
    dry_run: bool = False
    force: bool = False

    def refuses(self, gone: int, known: int) -> str:
        """Why not to believe so many deletions at once; empty when they may be believed. One by one is always fine."""
        if self.force or gone <= max(1, int(known * self.retire_limit)):
            return ""
        return (
            f"{gone} of {known} are missing, more than retire_limit = {self.retire_limit:g} allows at once; "
            "if that is meant, run `syncd reconcile --force`"
        )
