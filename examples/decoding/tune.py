"""Find out how to decode a model so that a right answer costs less at the same accuracy.

Without arguments it asks a simulated model on this machine, whose best point is known. Name a real
one with `--base http://localhost:11434/v1 --model llama3.2 --questions questions.jsonl`; each line
of that file has "question" and "answer". A key is read from TUNEKIT_LLM_KEY, if TUNEKIT_LLM_BASE
names the endpoint.
"""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from pathlib import Path

import tunekit as tk
from tunekit.testing.answerer import SimulatedAnswerer
from tunekit.testing.openai_server import running_endpoint

# What a prompt optimiser has found, or what you think of: the search chooses one of them.
PROMPTS = {
    "plain": 'Solve the problem. End with a line "Answer:" and the answer alone.',
    "checked": 'Solve the problem and check the result. End with a line "Answer:" and the answer.',
}
SIMULATED = SimulatedAnswerer(n=300, extra={"check the result": (0.02, 30)})


def tune(base: str, args: argparse.Namespace) -> None:
    questions = SIMULATED.questions()
    if args.questions is not None:
        questions = [json.loads(line) for line in args.questions.read_text().splitlines()]
    tuned = tk.decoding.study(
        "decoding",
        questions=questions,
        model=args.model,
        base=base,
        prompts=PROMPTS,
        held_out=0.5,
        at_once=25,
        storage=args.storage,
        seed=1,
    )
    tuned.run(args.trials, max_tokens=args.max_tokens)
    winner = tuned.winner
    print(f"trial {winner.number}: {dict(winner.params or {})}")
    if winner.number != tuned.baseline.number:
        print(tuned.confirm())


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--base", help="URL of an OpenAI-compatible endpoint, up to /v1.")
parser.add_argument("--model", default="simulated")
parser.add_argument("--questions", type=Path, help="JSON lines of question and answer.")
parser.add_argument("--trials", type=int, default=20)
parser.add_argument("--max-tokens", type=int, default=5_000_000)
parser.add_argument("--storage", default="memory://")


if __name__ == "__main__":
    args = parser.parse_args()
    with running_endpoint(SIMULATED) if args.base is None else nullcontext() as endpoint:
        tune(args.base or endpoint.base, args)
