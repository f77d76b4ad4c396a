"""Racing: measure the best again on further blocks."""
