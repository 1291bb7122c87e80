"""A preset as one experiment, and the command line that the jobs share."""
