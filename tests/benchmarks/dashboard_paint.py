"""First useful paint, bytes and server CPU of a study's page beside optuna-dashboard.

Both show the same trials in the same Chromium, one after the other in one run:

    python tests/benchmarks/dashboard_paint.py --trials 10000 --reports 50

The paint is the time from the request of the page until its chart of results is drawn, in a
browser that has the static files. Bytes are those of the page's data. The service computes a
chart once for all; the first view of a study shows what that costs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tunekit.records import TrialState
from tunekit.storages.urls import open_storage
from tunekit.testing.dashboard import chromium, served_dashboard
from tunekit.testing.postgres import free_port
from tunekit.testing.studies import TrialMix, made_trials, make_study
from tunekit.testing.walk import SETTLED

WINDOW = {"width": 1400, "height": 1000}
OUR_CHART = '[data-testid="stMain"] canvas'
THEIR_CHART = ".js-plotly-plot .scatterlayer .trace"


class View(NamedTuple):
    """One view of a page: seconds until its chart is drawn, bytes of data, CPU of the server."""

    what: str
    paint_s: float
    n_bytes: int
    cpu_s: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--reports", type=int, default=50)
    parser.add_argument(
        "--patience", type=float, default=180.0, help="seconds to wait for a chart"
    )
    given = parser.parse_args()
    recipe = TrialMix(given.trials, given.reports, seed=1)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        views = [
            *ours(browser, Path(folder), recipe, given.patience),
            *theirs(browser, Path(folder), recipe, given.patience),
        ]
    print(f"{given.trials:,} conditional trials with {given.reports} reports each\n")
    print("| dashboard and view | paint s | data KB | server CPU s | x tunekit's first |")
    print("| --- | --- | --- | --- | --- |")
    for v in views:
        late = ">= " if v.paint_s >= given.patience else ""
        print(
            f"| {v.what} | {late}{v.paint_s:.2f} | {v.n_bytes / 1000:,.0f} | {v.cpu_s:.2f} | "
            f"{late}{v.paint_s / views[0].paint_s:.1f} |"
        )


def ours(browser: Any, folder: Path, recipe: TrialMix, patience_s: float) -> Iterator[View]:
    """Yield the views of tunekit's page of results."""
    url = f"sqlite:///{folder}/tunekit.db"
    storage = open_storage(f"{url}?project=default")
    study = make_study(storage, "long", recipe).id
    storage.close()
    with served_dashboard(url) as served, browser.new_context(viewport=WINDOW) as context:
        page = context.new_page()
        page.goto(served.page())  # loads the static files
        page.wait_for_selector('[data-testid="stMain"] h2')
        page.close()
        address = served.page(f"progress?study={study}")
        for what in ("first", "next"):
            yield seen(
                context, f"tunekit, {what}", address, OUR_CHART, served.process.pid, patience_s
            )


def theirs(browser: Any, folder: Path, recipe: TrialMix, patience_s: float) -> Iterator[View]:
    """Yield the views of optuna-dashboard's page of a study."""
    url = f"sqlite:///{folder}/optuna.db"
    write_optuna(url, recipe)
    with optuna_dashboard(url) as (base, pid), browser.new_context(viewport=WINDOW) as context:
        page = context.new_page()
        page.goto(f"{base}/dashboard/")
        page.wait_for_timeout(3000)  # loads the static files
        page.close()
        for what in ("first", "next"):
            address = f"{base}/dashboard/studies/1"
            yield seen(context, f"optuna-dashboard, {what}", address, THEIR_CHART, pid, patience_s)


def seen(context: Any, what: str, address: str, chart: str, pid: int, patience_s: float) -> View:
    """Return what one view of a page costs."""
    page = context.new_page()
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    urls: dict[str, str] = {}
    sizes: list[int] = []

    def answered(event: dict[str, Any]) -> None:
        if "/static/" not in urls.get(event["requestId"], "/static/"):
            sizes.append(int(event["encodedDataLength"]))

    def asked(event: dict[str, Any]) -> None:
        urls[event["requestId"]] = event["request"]["url"]

    wire.on("Network.requestWillBeSent", asked)
    wire.on("Network.loadingFinished", answered)
    page.on("websocket", lambda socket: socket.on("framereceived", lambda m: sizes.append(len(m))))
    before, began = cpu_s(pid), time.perf_counter()
    page.goto(address, wait_until="commit", timeout=patience_s * 1000)
    try:
        page.wait_for_selector(chart, state="visible", timeout=patience_s * 1000)
    except Exception as error:
        if "Timeout" not in str(error):
            raise
    paint = time.perf_counter() - began
    page.wait_for_timeout(1000)
    if chart == OUR_CHART:
        page.wait_for_function(SETTLED)  # the CPU is that of the whole page
    view = View(what, paint, sum(sizes), cpu_s(pid) - before)
    page.close()
    return view


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and its children."""
    root = psutil.Process(pid)
    times = [p.cpu_times() for p in (root, *root.children(recursive=True))]
    return sum(t.user + t.system for t in times)


@contextmanager
def optuna_dashboard(url: str) -> Iterator[tuple[str, int]]:
    """Run optuna-dashboard; yield its address and process id."""
    port = free_port()
    code = "import sys; from optuna_dashboard._cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, url, "--port", str(port), "--host", "127.0.0.1"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        base = f"http://127.0.0.1:{port}"
        while process.poll() is None:
            try:
                urllib.request.urlopen(f"{base}/api/studies", timeout=5).close()
            except OSError:
                time.sleep(0.2)
            else:
                break
        try:
            yield base, process.pid
        finally:
            process.terminate()


def write_optuna(url: str, recipe: TrialMix) -> None:
    """Write the same trials into a database of Optuna, in bulk, as its own storage would."""
    import optuna
    from optuna.storages._rdb import models as m
    from sqlalchemy import create_engine
    from sqlalchemy.orm import Session

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=url, study_name="long", direction="minimize")
    words = {TrialState.COMPLETE: "COMPLETE", TrialState.STOPPED: "PRUNED"}
    trials, params, values, curves = [], [], [], []
    for trial, reports in made_trials(recipe):
        key = trial.number + 1
        trials.append({
            "trial_id": key, "number": trial.number, "study_id": study._study_id,
            "state": words.get(trial.state, "FAIL"),
            "datetime_start": _time(trial.started), "datetime_complete": _time(trial.finished),
        })  # fmt: skip
        for name, value in dict(trial.params or {}).items():
            distribution, inner = _distribution(name, value)
            params.append({
                "trial_id": key, "param_name": name, "param_value": inner,
                "distribution_json": distribution,
            })  # fmt: skip
        if trial.state is TrialState.COMPLETE:
            values.append({
                "trial_id": key, "objective": 0, "value": trial.metrics["error"],
                "value_type": "FINITE",
            })  # fmt: skip
        curves += [
            {"trial_id": key, "step": r.step, "intermediate_value": r.metrics["error"],
             "intermediate_value_type": "FINITE"}
            for r in reports
        ]  # fmt: skip
    engine = create_engine(url)
    with Session(engine) as session:
        session.bulk_insert_mappings(m.TrialModel, trials)
        session.bulk_insert_mappings(m.TrialParamModel, params)
        session.bulk_insert_mappings(m.TrialValueModel, values)
        session.bulk_insert_mappings(m.TrialIntermediateValueModel, curves)
        session.commit()
    engine.dispose()


def _time(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).replace(tzinfo=None)


CHOICES = {"model": ["svm", "forest", "net"], "kernel": ["rbf", "linear"]}
WHOLE = {"trees": (10, 500), "depth": (2, 32), "layers": (1, 8)}


def _distribution(name: str, value: object) -> tuple[str, float]:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
        distribution_to_json,
    )

    short = name.rpartition(".")[2]
    if short in CHOICES:
        return distribution_to_json(CategoricalDistribution(CHOICES[short])), float(
            CHOICES[short].index(str(value))
        )
    if short in WHOLE:
        return distribution_to_json(IntDistribution(*WHOLE[short])), float(str(value))
    return distribution_to_json(FloatDistribution(0.0, 1000.0)), float(str(value))


if __name__ == "__main__":
    main()
