# SPDX-License-Identifier: Apache-2.0
"""The three servers of the control plane."""
