"""Tests a storage for conformance with every rule of `tunekit.storages.base`.

Subclass `StorageConformance` and override the `storage` fixture with a fresh, empty storage:

    class TestMyStorage(StorageConformance):
        @pytest.fixture
        def storage(self):
            storage = MyStorage()
            yield storage
            storage.close()
"""

from tunekit.testing.storages.added import AddedRules
from tunekit.testing.storages.claims import ClaimRules
from tunekit.testing.storages.pauses import PauseRules
from tunekit.testing.storages.reads import ReadRules
from tunekit.testing.storages.requests import RequestRules
from tunekit.testing.storages.studies import StudyRules
from tunekit.testing.storages.tells import TellRules
from tunekit.testing.storages.threads import ThreadRules

__all__ = ["StorageConformance"]


class StorageConformance(
    StudyRules, ClaimRules, TellRules, PauseRules, AddedRules, ReadRules, RequestRules, ThreadRules
):
    """Combines all rules; the name of a failing test shows its family of rules."""
