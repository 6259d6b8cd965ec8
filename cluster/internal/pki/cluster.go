package pki

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

// Dir is the folder of certificates and kubeconfigs of an instance.
func Dir(c instance.Config) string { return c.Path("pki") }

// File is the path of a certificate or key, e.g. "apiserver.crt".
func File(c instance.Config, name string) string { return filepath.Join(Dir(c), name) }

// Kubeconfig is the path of a component's kubeconfig.
func Kubeconfig(c instance.Config, component string) string {
	return File(c, component+".kubeconfig")
}

// The components with a kubeconfig of their own.
const (
	Admin             = "admin"
	ControllerManager = "controller-manager"
	Scheduler         = "scheduler"
	Kubelet           = "kubelet"
	KubeProxy         = "kube-proxy"
	DNS               = "dns"
)

// Ensure makes everything that a cluster needs before its first start, and
// repairs what is missing or ends soon. internalURL is where the components
// reach the API server; people use loopback and the port.
func Ensure(c instance.Config, internalURL string, now time.Time) error {
	dir := Dir(c)
	ca, err := EnsureAuthority(dir, "ca", now)
	if err != nil {
		return err
	}
	front, err := EnsureAuthority(dir, "front-proxy-ca", now)
	if err != nil {
		return err
	}
	if err := EnsureKey(dir, "service-account"); err != nil {
		return err
	}
	for _, l := range leaves(c) {
		if err := ca.EnsureLeaf(l, now); err != nil {
			return err
		}
	}
	if err := front.EnsureLeaf(Leaf{Name: "front-proxy-client", CommonName: "front-proxy-client"}, now); err != nil {
		return err
	}
	for _, component := range []string{ControllerManager, Scheduler, Kubelet, KubeProxy, DNS} {
		if err := writeKubeconfig(c, component, internalURL, Kubeconfig(c, component)); err != nil {
			return err
		}
	}
	return writeKubeconfig(c, Admin, fmt.Sprintf("https://127.0.0.1:%d", c.Port), c.AdminKubeconfig())
}

// leaves lists the certificates signed by the cluster's authority. The common
// names and organizations are those that Kubernetes binds roles to.
func leaves(c instance.Config) []Leaf {
	loopback, node := net.IPv4(127, 0, 0, 1), net.IP(instance.NodeIP.AsSlice())
	return []Leaf{
		{
			Name: "apiserver", CommonName: "kube-apiserver",
			DNSNames: []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc." + instance.ClusterDomain,
			},
			IPs: []net.IP{loopback, node, net.IP(instance.APIServiceIP.AsSlice())},
		},
		{
			Name: "kubelet-server", CommonName: c.NodeName(),
			DNSNames: []string{c.NodeName()}, IPs: []net.IP{node},
		},
		{Name: "apiserver-kubelet-client", CommonName: "tatami-apiserver-kubelet-client", Organizations: []string{"tatami:kubelet-api"}},
		{Name: Admin, CommonName: "tatami-admin", Organizations: []string{"system:masters"}},
		{Name: ControllerManager, CommonName: "system:kube-controller-manager"},
		{Name: Scheduler, CommonName: "system:kube-scheduler"},
		{Name: Kubelet, CommonName: "system:node:" + c.NodeName(), Organizations: []string{"system:nodes"}},
		{Name: KubeProxy, CommonName: "system:kube-proxy"},
		{Name: DNS, CommonName: "system:coredns", Organizations: []string{"tatami:dns"}},
	}
}

func writeKubeconfig(c instance.Config, component, server, path string) error {
	kc, err := EmbeddedKubeconfig(c, component, server)
	if err != nil {
		return err
	}
	raw, err := clientcmd.Write(*kc)
	if err != nil {
		return fmt.Errorf("kubeconfig of %s: %w", component, err)
	}
	return instance.WriteFile(path, raw)
}

// EmbeddedKubeconfig is a kubeconfig with the certificates in it, so that it
// can be copied into a user's file.
func EmbeddedKubeconfig(c instance.Config, component, server string) (*clientcmdapi.Config, error) {
	var pem [3][]byte
	for i, name := range []string{"ca.crt", component + ".crt", component + ".key"} {
		raw, err := os.ReadFile(File(c, name))
		if err != nil {
			return nil, fmt.Errorf("kubeconfig of %s: %w", component, err)
		}
		pem[i] = raw
	}
	name := instance.Context(c.Name)
	kc := clientcmdapi.NewConfig()
	kc.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: pem[0]}
	kc.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: pem[1], ClientKeyData: pem[2]}
	kc.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kc.CurrentContext = name
	return kc, nil
}

// FirstExpiry finds the certificate that ends first.
func FirstExpiry(c instance.Config) (name string, end time.Time, err error) {
	names := []string{"ca", "front-proxy-ca", "front-proxy-client"}
	for _, l := range leaves(c) {
		names = append(names, l.Name)
	}
	for _, n := range names {
		cert, err := loadCert(File(c, n+".crt"))
		if err != nil {
			return "", time.Time{}, err
		}
		if end.IsZero() || cert.NotAfter.Before(end) {
			name, end = n, cert.NotAfter
		}
	}
	return name, end, nil
}
