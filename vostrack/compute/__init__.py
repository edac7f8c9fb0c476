"""What the numbers are computed with: precision, devices, threads and compiled loops."""
