# SPDX-License-Identifier: Apache-2.0
"""`python -m cabgate_cli`, for where the console script is not on the path."""

from cabgate_cli.start import main

if __name__ == "__main__":
    main("cabgate")
