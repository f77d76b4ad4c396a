"""Models on plain arrays: they know nothing of studies, trials or spaces."""
