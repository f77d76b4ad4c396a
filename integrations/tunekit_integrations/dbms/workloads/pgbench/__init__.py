"""pgbench: short transactions, built in or from scripts of one's own."""
