# SPDX-License-Identifier: Apache-2.0
"""What a cluster holds, read by the client of Kubernetes."""
