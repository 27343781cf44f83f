"""Execution environments of `provided.*` functions.

MiniStack serves the Lambda Runtime API with two or more threads per environment and waits at least 5 ms per invocation
for log lines. Here everything happens on the server's event loop, log lines are taken as they come, and no function
process outlives the emulator.
"""
