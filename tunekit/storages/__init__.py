"""Storages persist studies and trials; SQL appears nowhere else."""
