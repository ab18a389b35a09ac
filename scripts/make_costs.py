"""Write what finished jobs asked, used and wasted, by rule and by study."""

import sys
from pathlib import Path

from earmark.costs import make_costs
from earmark.logs import log_to

log_to(snakemake.log[0])
params = snakemake.params
text = make_costs(
    results=Path(params.results),
    asked=params.asked,
    homes=params.homes,
    csv=Path(params.csv),
    by_study=Path(params.by_study),
    md=Path(params.md),
    figure=Path(params.figure),
    label=params.label,
)
sys.stderr.write("\n" + text + "\n")
