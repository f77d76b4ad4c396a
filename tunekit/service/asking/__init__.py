"""Asks samplers and stoppers on behalf of workers that send plain HTTP requests."""
