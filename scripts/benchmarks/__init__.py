"""The parts of `make bench`, one file for each program that is measured."""
