"""What a study, and a request for its trials, may ask for."""

from __future__ import annotations

from tunekit import registry
from tunekit.errors import InvalidArgument
from tunekit.records import StudyRecord
from tunekit.storages.base import Claim, ExchangeRequest
from tunekit.storages.checks import check_exchange
from tunekit.storages.http.work_messages import MAX_ASKED, MAX_WAIT_S, Ask


def check_ask(record: StudyRecord, ask: Ask) -> None:
    """Check that the service can give out trials of a study.

    Raises:
        InvalidArgument: a number is out of its range, the study's space is not declared, or its
            sampler or stopper is not built in.
    """
    spec = record.spec
    if not 1 <= ask.n <= MAX_ASKED:
        raise InvalidArgument(f"n={ask.n}, expected 1 to {MAX_ASKED} trials.")
    if not 0.0 <= ask.wait_s <= MAX_WAIT_S:
        raise InvalidArgument(f"wait_s={ask.wait_s}, expected 0 to {MAX_WAIT_S:g} seconds.")
    check_exchange(ExchangeRequest(ask.worker, (), Claim(ask.n, ask.key), ask.lease_s))
    advice = 'run it from Python with storage="http://..." of this service'
    if spec.space is None:
        raise InvalidArgument(
            f'study "{spec.name}" has no declared space: its program discovers it, and the '
            f"service runs no programs of users; {advice}, or create it with space=."
        )
    if not registry.is_built_in("sampler", spec.sampler):
        raise InvalidArgument(
            f'study "{spec.name}" proposes with "{spec.sampler}", which is not a sampler of '
            f"tunekit's own, and the service runs no code of users; {advice}."
        )
    if spec.stopper and not registry.is_built_in("stopper", spec.stopper):
        raise InvalidArgument(
            f'study "{spec.name}" stops with "{spec.stopper}", which is not one of tunekit\'s own '
            f"stoppers, and the service runs no code of users; {advice}."
        )
