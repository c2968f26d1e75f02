"""Sets up the process of every test before anything heavy is loaded."""

from shared.threads import available_cores, limit_threads

# The fast tests run in a process per core, tests on servers beside programs of ours.
limit_threads(available_cores())
