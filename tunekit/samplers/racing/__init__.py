"""Racing: repeats the best configurations on further blocks."""
