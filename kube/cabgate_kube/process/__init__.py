# SPDX-License-Identifier: Apache-2.0
"""What every process of cabgate has: settings, logs, health pages, signals."""
