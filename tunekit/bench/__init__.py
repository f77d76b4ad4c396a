"""Which sampler for my problem: problems x samplers x seeds under equal budgets."""
