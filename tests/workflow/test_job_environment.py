"""The environment that jobs get: glibc keeps the memory of large tensors, unless the user says otherwise."""

import os
import subprocess
import sys

import pytest
from checkouts import copy_workflow, run_snakemake

from earmark.resources import KEEP_FREED_MEMORY

RULE = """
rule show_environment:
    output: "seen.txt"
    shell: "env > {output}"
"""
STEPS = """
import resource, torch
for step in range(10):
    held = [torch.ones(millions * 1_000_000) for millions in (10, 16, 12)]  # 152 MB
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.workflow
def test_jobs_keep_freed_memory(tmp_path, monkeypatch):
    kept, changed = KEEP_FREED_MEMORY
    monkeypatch.delenv(kept, raising=False)
    monkeypatch.setenv(changed, "1000000")
    folder = copy_workflow(tmp_path / "checkout")
    with (folder / "workflow" / "Snakefile").open("a") as file:
        file.write(RULE)
    run_snakemake(folder, "--cores", "1", "show_environment")
    seen = dict(line.split("=", 1) for line in (folder / "seen.txt").read_text().splitlines() if "=" in line)
    assert (seen[kept], seen[changed]) == (KEEP_FREED_MEMORY[kept], "1000000")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is that of Linux")
def test_kept_memory_is_not_filled_anew():
    plain = {name: value for name, value in os.environ.items() if name not in KEEP_FREED_MEMORY}
    faults = []
    for more in ({}, KEEP_FREED_MEMORY):
        command = [sys.executable, "-c", STEPS]
        found = subprocess.run(command, env={**plain, **more}, check=True, capture_output=True, text=True)
        faults.append(int(found.stdout))
    assert faults[0] - faults[1] > 5 * 152_000_000 / os.sysconf("SC_PAGE_SIZE")
