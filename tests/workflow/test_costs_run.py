"""`snakemake costs` in a copy of the workflow with benchmark files of rules of every kind."""

import pandas as pd
import pytest
from checkouts import copy_workflow, run_snakemake

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
ROW = "3600\t1:00:00\t1000\t0\t0\t0\t0\t0\t0\t1800\n"
HOMES = {
    "pretrain_encoder/mobilenet_v2.tsv": "at",
    "train_probe/at/esc50/mobilenet_v2.tsv": "at",
    "evaluate_linear/byola/byola_audioset.tsv": "byola",  # of a rule named evaluate_linear_byola
    "compute_log_mel/mini/esc50/at.tsv": "shared",
    "make_report.tsv": "shared",
}
USES_GPU = ("pretrain_encoder", "train_probe", "evaluate_linear")


@pytest.mark.workflow
def test_every_kind_of_rule_is_counted(tmp_path):
    folder = copy_workflow(tmp_path / "checkout")
    for name in HOMES:
        path = folder / "results" / "mini" / "benchmarks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD + ROW)
    run_snakemake(folder, "--cores", "1", "costs")
    results = folder / "results" / "mini"
    studies = pd.read_csv(results / "costs_by_study.csv")
    found = studies[studies["rule"] != "all"].set_index("rule")
    assert dict(found["study"]) == {name.split("/")[0].removesuffix(".tsv"): home for name, home in HOMES.items()}
    assert dict(found["gpu_hours"]) == {rule: float(rule in USES_GPU) for rule in found.index}
    costs = pd.read_csv(results / "costs.csv").set_index("rule").drop("all")
    assert (costs["gb_asked"] > 0).all() and (costs["hours_asked"] > 0).all() and (costs["gb_peak"] == 1).all()
    assert (results / "costs.png").read_bytes().startswith(b"\x89PNG")
