"""The servers that an installation without servers of its own runs: PostgreSQL and Valkey from wheels.

`python -m billing_project.embedded serve` starts them, and the product's own processes, under one supervisor.
"""
