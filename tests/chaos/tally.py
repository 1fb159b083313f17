"""What became of the calls: every one of them is counted, and none twice."""

from collections import Counter
from dataclasses import dataclass, field

# Seconds; an answer that took longer counts as slow.
SLOW_SECONDS = 1.0
# Sentences that are kept.
MAX_EXAMPLES = 5


@dataclass
class Tally:
    """Calls by their end. Only `answered`, `refused` and `cancelled` are ends that a caller can live with."""

    answered: int = 0
    # UNAVAILABLE or RESOURCE_EXHAUSTED: asking again is safe.
    refused: int = 0
    # By the caller itself.
    cancelled: int = 0
    # Another error, or less than was asked for.
    lost: int = 0
    wrong: int = 0
    # No end at all before the deadline.
    stranded: int = 0
    slow: int = 0
    longest_seconds: float = 0.0
    versions: Counter[str] = field(default_factory=Counter)
    last_version: str = ""
    examples: list[str] = field(default_factory=list)

    def note_answer(self, version: str, mistake: str | None, seconds: float) -> None:
        """A call that was answered; `mistake` says what is wrong with the answer."""
        self.longest_seconds = max(self.longest_seconds, seconds)
        self.slow += seconds > SLOW_SECONDS
        self.versions[version] += 1
        self.last_version = version
        if mistake is None:
            self.answered += 1
        else:
            self.wrong += 1
            self.note_example(f"wrong: {mistake}")

    def note_lost(self, what: str) -> None:
        """A call whose end nobody could foresee."""
        self.lost += 1
        self.note_example(f"lost: {what}")

    def note_stranded(self, what: str) -> None:
        """A call that had no end in time."""
        self.stranded += 1
        self.note_example(f"stranded: {what}")

    def note_example(self, sentence: str) -> None:
        """Keeps the first few."""
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(sentence)
