"""Coverage-guided fuzzing of the parsers: ``python tests/stress/fuzz.py [TARGET ...] [--runs N]``.

Needs atheris (``pip install atheris``). Each target runs in a process of its own; an input that it
chokes on is left in ``--findings``, and the exit code says whether there was one. The corpus that
grows is kept in ``--corpus`` between runs, if one is given.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="default: all of them")
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="keep what was learnt here")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    args = parser.parse_args()
    sys.path.insert(0, str(HERE))
    from fuzz_targets import TARGETS

    failed = []
    args.findings.mkdir(parents=True, exist_ok=True)
    for name in args.targets or TARGETS:
        with tempfile.TemporaryDirectory() as scratch:
            corpus = (args.corpus or Path(scratch)) / name
            corpus.mkdir(parents=True, exist_ok=True)
            for number, seed in enumerate(TARGETS[name].seeds):
                (corpus / f"seed-{number}").write_bytes(seed)
            begin = time.monotonic()
            command = [sys.executable, __file__, "--child", name, str(corpus)]
            command += [f"-runs={args.runs}", f"-seed={args.seed}", "-max_len=1024", "-timeout=10"]
            command += ["-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"]
            done = subprocess.run(
                [*command, f"-artifact_prefix={args.findings.resolve()}/{name}-"],
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            seconds = time.monotonic() - begin
            runs = _stat(done.stderr, "number_of_executed_units")
            peak = _stat(done.stderr, "peak_rss_mb")
            said = "ok" if done.returncode == 0 else f"FAILED, code {done.returncode}"
            print(f"{name:18} {runs:>10} inputs {seconds:7.0f} s  {peak} MB  {said}", flush=True)
            if done.returncode:
                failed.append(name)
                lines = done.stderr.splitlines()
                print("\n".join(line for line in lines if "INFO: " not in line)[-3000:], flush=True)
    return 1 if failed else 0


def _stat(text: str, name: str) -> str:
    return next((line.split()[-1] for line in text.splitlines() if f"::{name}" in line), "?")


def _fuzz(name: str, options: list[str]) -> int:
    import atheris

    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(include=["encore"]):
        from fuzz_targets import TARGETS
    atheris.Setup([name, *options], TARGETS[name].run)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(_fuzz(sys.argv[2], sys.argv[3:]) if sys.argv[1:2] == ["--child"] else main())
