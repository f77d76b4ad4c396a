import pytest

from tests.executors.ray_cluster import running_cluster
from tunekit.executors.ray import RayExecutor
from tunekit.testing.executors import CrashConformance

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def address():
    with running_cluster(num_cpus=2) as cluster:
        yield cluster.address


class TestRay(CrashConformance):
    @pytest.fixture(autouse=True)
    def _on(self, address):
        self.address = address

    def make(self, **options):
        return RayExecutor(2, address=self.address, **options)
