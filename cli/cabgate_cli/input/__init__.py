# SPDX-License-Identifier: Apache-2.0
"""What a command works on: files, and objects of a cluster."""
