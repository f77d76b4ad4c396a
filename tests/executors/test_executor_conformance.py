from tunekit.executors.inline import InlineExecutor
from tunekit.executors.process.executor import ProcessExecutor
from tunekit.testing.executors import CrashConformance, ExecutorConformance


class TestInline(ExecutorConformance):
    def make(self):
        return InlineExecutor()


class TestProcess(CrashConformance):
    def make(self, **options):
        return ProcessExecutor(2, **options)
