"""What langkeys survives: kills, full and broken disks, others at work at the same time.

The default run takes a sample. For all of it name this folder:
`pytest tests/faults --full --kills 200 --each 20 --command-kills 50 --writes 500 --examples 5000`
(about an hour on two cores, most of it the starts of processes); `-s` shows how many kills landed
while something was being written.
"""
