"""Answers to Optuna's names for studies, trials and states; nothing here imports Optuna."""
