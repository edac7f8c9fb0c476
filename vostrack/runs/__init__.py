"""One clip on disk: what is asked for, the results folder, resuming and records."""
