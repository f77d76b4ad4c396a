"""Statistical models on plain arrays, independent of studies, trials and spaces."""
