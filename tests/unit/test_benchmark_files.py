"""What is read from benchmark files, whole and broken ones."""

import math

import pytest

from earmark.benchmark_files import Measured, read_benchmark

HEAD = "s\th:m:s\tmax_rss\tcpu_time\n"


def test_the_last_measurement_counts(tmp_path):
    file = tmp_path / "job.tsv"
    file.write_text(HEAD + "1\t0:00:01\t5\t1\n" + "1800\t0:30:00\t1000\t3600\n")
    assert read_benchmark(file) == Measured(1800.0, 1000.0, 3600.0)


def test_what_was_not_measured_is_no_number(tmp_path):
    file = tmp_path / "short.tsv"
    file.write_text(HEAD + "0.2\t0:00:00\t-\tNA\n")
    found = read_benchmark(file)
    assert found.seconds == 0.2 and math.isnan(found.peak_mb) and math.isnan(found.cpu_seconds)


@pytest.mark.parametrize("text", ["", HEAD, "s\tmax_rss\n-\t-\n", "max_rss\n5\n"])
def test_a_file_without_seconds_is_of_no_finished_job(tmp_path, text):
    file = tmp_path / "killed.tsv"
    file.write_text(text)
    assert read_benchmark(file) is None
