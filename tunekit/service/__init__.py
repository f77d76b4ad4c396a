"""The multi-user tuning service: REST over one storage, started by `tunekit serve`."""
