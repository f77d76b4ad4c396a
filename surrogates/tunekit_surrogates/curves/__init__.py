"""From the first reports of a run to the distribution of its final value."""
