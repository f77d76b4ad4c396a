from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tunekit as tk
from tests.service.asking.plain_worker import PlainWorker
from tunekit.service.app import Service

SPACE = {"x": tk.Float(0.0, 1.0), "n": tk.Int(1, 8), "kind": tk.Categorical(["a", "b"])}


@dataclass
class Team:
    """A running service, and what is opened on it."""

    service: Service
    url: str
    opened: list[Any]
    count: int = 0

    def study(self, **settings: Any) -> tk.Study:
        """Return a new study over the service."""
        self.count += 1
        given = {"space": SPACE, "objectives": "loss", "seed": 1, "sampler": "random", **settings}
        study = tk.study(f"study-{self.count}", storage=self.url, **given)
        self.opened.append(study.storage)
        return study

    def worker(self, study: tk.Study, worker: str = "w", **settings: Any) -> PlainWorker:
        """Return a worker of a study."""
        made = PlainWorker(self.url, study.name, worker=worker, **settings)
        self.opened.append(made)
        return made

    def close(self) -> None:
        """Close what was opened."""
        for thing in self.opened:
            thing.close()


Serve = Callable[..., Team]
