"""A light client for workers that let the service propose: no NumPy, no database.

client = tunekit.client.connect("http://host:8080/project")
study = client.study("digits")
study.run(objective)  # or study.ask(), trial.report(step, loss=...), trial.tell(value)
"""

from tunekit.client.client import Client, connect
from tunekit.client.study import ServiceStudy
from tunekit.client.trial import ServiceTrial

__all__ = ["Client", "ServiceStudy", "ServiceTrial", "connect"]
