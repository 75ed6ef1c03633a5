#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh TARGET: cabgate with its relay and page and all that they need, as uv.lock says, in a folder that can be moved.
# The Dockerfile, `make image` and the test of the image run this. To be called in the root of a checkout.
set -eu
export UV_COMPILE_BYTECODE="${UV_COMPILE_BYTECODE-1}" UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT="$1"
uv venv --quiet --no-project --relocatable --python "${PYTHON:-python3}" "$1"
uv sync --quiet --locked --no-dev --extra portal --extra relay --no-editable
