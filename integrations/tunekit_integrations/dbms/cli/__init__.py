"""The commands `tunekit knobs`."""
