"""Speed, size and memory of headspec beside what a user would pick instead.

    python -m tests.benchmarks                     every job, from the root of a checkout
    python -m tests.benchmarks --list
    python -m tests.benchmarks --job map-json --quick

Install what it compares with by ``pip install -e '.[bench]'``; what is not installed is said so and left out. Nothing here
is a test: pytest collects none of it and times nothing.
"""
