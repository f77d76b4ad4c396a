"""`botorch`: BoTorch's acquisitions for large studies, large batches and many objectives."""
