"""Runs one of our programs and keeps what it prints, with machine, date, revision and command.

usage: record.py PROGRAM [--data DIR] [--out FILE] [-- arguments of the program]
For programs that have no rival beside them (`load` has one in its own process: a service that does nothing); all but `ann`, `churn` and `limit` make their rows themselves. By default the record is PROGRAM.json beside this script.
"""
import argparse
import pathlib
import sys

import common

# Measured over a data set.
OF_DATA = ["ann", "churn", "limit"]
# Make their own rows.
OF_THEMSELVES = ["exchange", "filter_cost", "ingest", "load", "row_sets", "tenants", "updates"]


def run():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", choices=OF_DATA + OF_THEMSELVES, help="which one")
    parser.add_argument("--data", metavar="DIR", help="the data set")
    parser.add_argument("--out", metavar="FILE", help="the record")
    parser.add_argument("--bin-dir", metavar="DIR", help="where our programs lie; by default cargo builds and runs them")
    # What follows `--` is the program's own.
    own = sys.argv[1:]
    at = own.index("--") if "--" in own else len(own)
    options, passed_on = parser.parse_args(own[:at]), own[at + 1:]
    needs_data = options.program in OF_DATA
    if needs_data != bool(options.data):
        parser.error(f"{options.program} {'needs' if needs_data else 'has no'} --data")
    record = common.provenance()
    command = common.program(options.program, options.bin_dir)
    if needs_data:
        command += common.data_set(common.absolute(options.data))
    record["lines"] = common.json_lines(command + passed_on)
    common.save(options.out or pathlib.Path(__file__).parent / f"{options.program}.json", record)


if __name__ == "__main__":
    common.main(run)
