"""Fault tests: kills, full and broken disks, and other processes at the same time.

The default run only runs a sample. To run all of them, name this folder:
`pytest tests/faults --full --kills 200 --each 20 --command-kills 50 --writes 500 --examples 5000`
(about an hour on two cores, mostly for starting processes). `-s` shows how many kills happened
during a write.
"""
