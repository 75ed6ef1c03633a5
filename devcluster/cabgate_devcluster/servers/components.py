# SPDX-License-Identifier: Apache-2.0
"""The command lines of the three servers."""

from collections.abc import Sequence

from cabgate_devcluster.programs.binaries import Binaries
from cabgate_devcluster.servers import stores
from cabgate_devcluster.servers.layout import Layout

ETCD = "etcd"
APISERVER = "kube-apiserver"
CONTROLLERS = "kube-controller-manager"

#: in the order in which they are started
COMPONENTS = (ETCD, APISERVER, CONTROLLERS)


def command(
    component: str,
    binaries: Binaries,
    layout: Layout,
    apiserver_args: Sequence[str],
    etcd_args: Sequence[str] = (),
) -> list[str]:
    """Return the command line of one of `COMPONENTS`; further flags come last, so they win."""
    if component == ETCD:
        return stores.chosen().command(binaries, layout, etcd_args)
    if component == APISERVER:
        return [str(binaries.kube_apiserver), *_apiserver(layout), *apiserver_args]
    return [str(binaries.kube_controller_manager), *_controllers(layout)]


def _apiserver(layout: Layout) -> list[str]:
    pki = layout.pki
    return [
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={layout.apiserver_port}",
        f"--cert-dir={layout.directory}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--etcd-servers=https://127.0.0.1:{layout.etcd_seen_at or layout.etcd_port}",
        f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'etcd-client.key'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        "--service-cluster-ip-range=10.96.0.0/16",
        # There are no nodes to reach, and 127.0.0.1 may not be an endpoint.
        "--endpoint-reconciler-type=none",
        # What an extension API server would need; the controllers complain without it.
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy.key'}",
        # Without it a stop waits a minute for watches that nobody ends.
        "--shutdown-watch-termination-grace-period=1s",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def _controllers(layout: Layout) -> list[str]:
    pki = layout.pki
    kubeconfig = layout.controllers_kubeconfig
    return [
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.controllers_port}",
        f"--tls-cert-file={pki / 'controllers.crt'}",
        f"--tls-private-key-file={pki / 'controllers.key'}",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--controllers=*",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki / 'service-accounts.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--leader-elect=false",
        # The defaults are for a fleet; here they would only make the tests wait.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--profiling=false",
    ]
