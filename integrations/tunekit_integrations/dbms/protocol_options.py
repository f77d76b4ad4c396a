"""The options of the trial protocol."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tunekit.checks import check_number, check_whole
from tunekit_integrations.dbms.verdict import MIN_ROUNDS


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolOptions:
    """How long and how often a configuration is measured.

    Attributes:
        slice_s: seconds of a slice. On two servers a pass over queries is cut into parts that take
            at least so long; on one server a slice is a whole pass.
        n_blocks: blocks of default, candidate, candidate, default in a trial; each ends early
            where the candidate is hopeless.
        aa_rounds: comparisons of the default with itself before the first trial.
        rounds, max_rounds: fresh comparisons of a winner, each after a restart where one is
            allowed; more than `rounds` only while the verdict is close.
        round_blocks: blocks in each of these.
        n_finalists: best trials that are measured again until one is accepted.
        cutoff: times the default's time after which a candidate is cut off, 2 to 3.
        busy_share: share of the machine's processor time used by others from which on it counts
            as busy.
        first_s: seconds that a pass over the queries may take with the server's own configuration.
        hang_s: seconds beyond the expected ones after which a slice has hung.
        patience_s: seconds that a server is waited for after a failure.

    Raises:
        InvalidArgument: an option is out of range.
    """

    slice_s: float = 1.5
    n_blocks: int = 2
    aa_rounds: int = 4
    rounds: int = 3
    max_rounds: int = 6
    round_blocks: int = 2
    n_finalists: int = 2
    cutoff: float = 2.5
    busy_share: float = 0.15
    first_s: float = 3600.0
    hang_s: float = 30.0
    patience_s: float = 30.0

    def __post_init__(self) -> None:
        check_number(self.slice_s, "slice_s", low=0.01, high=3600)
        check_whole(self.n_blocks, "n_blocks", low=1)
        check_whole(self.aa_rounds, "aa_rounds", low=2)
        check_whole(self.rounds, "rounds", low=MIN_ROUNDS)
        check_whole(self.max_rounds, "max_rounds", low=self.rounds)
        check_whole(self.round_blocks, "round_blocks", low=1)
        check_whole(self.n_finalists, "n_finalists", low=1)
        check_number(self.cutoff, "cutoff", low=2, high=3)
        check_number(self.busy_share, "busy_share", low=0, high=1)
        check_number(self.first_s, "first_s", low=0.1)
        check_number(self.hang_s, "hang_s", low=0.1)
        check_number(self.patience_s, "patience_s", low=0)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)
