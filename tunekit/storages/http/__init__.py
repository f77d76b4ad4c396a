"""The storage of a tunekit service, reached over HTTP."""
