"""Numerical environment: precision, devices, threads and compiled loops."""
