# SPDX-License-Identifier: Apache-2.0
"""Certificates: how they are issued, rotated and served."""
