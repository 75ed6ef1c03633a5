# SPDX-License-Identifier: Apache-2.0
"""The webhook's command on two sockets that its parent has bound, for admission and for probes: so
no port is chosen before it is held. `webhook_entry.py FD FD OPTION...`"""

import socket
import sys

from cabgate_webhook.http.serving import Sockets
from cabgate_webhook.main import main

if __name__ == "__main__":
    admission, probes = (socket.socket(fileno=int(each)) for each in sys.argv[1:3])
    main(sys.argv[3:], sockets=Sockets(admission, probes))
