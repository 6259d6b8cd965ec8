package node

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestNetwork(t *testing.T) {
	runCases(t, []testCase{
		{"pod to pod", podToPod},
		{"service by cluster IP and names", serviceByNames},
		{"names of headless services", headlessNames},
		{"alias of a name outside", externalName},
		{"session affinity", sessionAffinity},
		{"endpoints follow readiness", endpointsFollowReadiness},
		{"no endpoints means refused", noEndpoints},
		{"endpoints that are not ready can be published", publishNotReady},
		{"node port", nodePort},
		{"host port", hostPort},
		{"hairpin", hairpin},
		{"UDP service", udpService},
		{"hosts file and resolver of a pod", podResolver},
	})
}

// Upstream: "Networking Granular Checks: Pods should function for intra-pod
// communication". A pod must see the other's own address as well.
func podToPod(s *space) {
	s.start(podOf("a"))
	s.start(podOf("b"))
	a, b := s.waitReady("a"), s.waitReady("b")
	for _, pair := range [][2]*corev1.Pod{{a, b}, {b, a}} {
		from, to := pair[0], pair[1]
		s.equal("peer as "+to.Name+" sees it", s.tell(from.Name, "fetch", "url", "http://"+to.Status.PodIP+":8080/peer"), from.Status.PodIP)
	}
}

// Upstream: "Services should serve a basic endpoint from pods", "DNS should
// provide DNS for services".
func serviceByNames(s *space) {
	s.start(labelled(podOf("a"), "web"))
	s.start(labelled(podOf("b"), "web"))
	s.start(podOf("client"))
	svc := s.expose(service("web", "web"))
	for _, name := range []string{"a", "b", "client"} {
		s.waitReady(name)
	}
	for _, host := range []string{svc.Spec.ClusterIP, "web", "web." + s.name, "web." + s.name + ".svc", "web." + s.name + ".svc.cluster.local"} {
		seen := map[string]bool{}
		s.eventually("both pods behind "+host, func() error {
			name, err := s.fetchFrom("client", "http://"+host+"/hostname")
			if err != nil {
				return err
			}
			seen[name] = true
			if !seen["a"] || !seen["b"] {
				return fmt.Errorf("only %v answered", seen)
			}
			return nil
		})
	}
	s.equal("name of the cluster IP", s.tell("client", "resolve", "kind", "ptr", "name", svc.Spec.ClusterIP), "web."+s.name+".svc.cluster.local.")
	s.equal("address of the name", s.tell("client", "resolve", "name", "web"), svc.Spec.ClusterIP)
	s.contains("SRV record", s.tell("client", "resolve", "kind", "srv", "name", "_http._tcp.web."+s.name+".svc.cluster.local"), "web."+s.name+".svc.cluster.local:80")
}

// Upstream: "DNS should provide DNS for pods for Hostname", "... for Subdomain",
// "DNS should provide DNS for the cluster" (records of headless services).
func headlessNames(s *space) {
	svc := service("db", "db")
	svc.Spec.ClusterIP = corev1.ClusterIPNone
	s.expose(svc)
	member := func(name string) *corev1.Pod {
		p := labelled(podOf(name), "db")
		p.Spec.Hostname, p.Spec.Subdomain = name, "db"
		return p
	}
	s.start(member("one"))
	s.start(member("two"))
	one, two := s.waitReady("one"), s.waitReady("two")
	domain := "db." + s.name + ".svc.cluster.local"
	s.eventually("the addresses of the pods", func() error {
		got, err := s.ask("one", "resolve", "name", domain)
		if err == nil && (!strings.Contains(got, one.Status.PodIP) || !strings.Contains(got, two.Status.PodIP)) {
			err = fmt.Errorf("got %q", got)
		}
		return err
	})
	s.equal("SRV records", s.tell("one", "resolve", "kind", "srv", "name", "_http._tcp."+domain), "one."+domain+":8080 two."+domain+":8080")
	s.equal("name of a member", s.tell("one", "resolve", "name", "two.db"), two.Status.PodIP)
	dashed := strings.ReplaceAll(two.Status.PodIP, ".", "-")
	s.equal("name of a pod by address", s.tell("one", "resolve", "name", dashed+"."+s.name+".pod.cluster.local"), two.Status.PodIP)
	hosts := s.tell("one", "file", "path", "/etc/hosts")
	s.contains("hosts file", hosts, one.Status.PodIP+"\tone."+domain+"\tone")
}

// Upstream: "DNS should provide DNS for ExternalName services".
func externalName(s *space) {
	svc := s.expose(service("web", "web"))
	s.expose(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "alias"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "web." + s.name + ".svc.cluster.local"},
	})
	s.startReady(podOf("client"))
	s.eventually("the alias", func() error {
		got, err := s.ask("client", "resolve", "name", "alias")
		if err == nil && got != svc.Spec.ClusterIP {
			err = fmt.Errorf("got %q, want %s", got, svc.Spec.ClusterIP)
		}
		return err
	})
}

// answers counts the pods that answer a number of requests.
func (s *space) answers(target string, requests int) (map[string]int, error) {
	seen := map[string]int{}
	for range requests {
		name, err := s.fetchFrom("client", target)
		if err != nil {
			return seen, err
		}
		seen[name]++
	}
	return seen, nil
}

// Upstream: "Services should have session affinity work for service with type
// clusterIP", "should be able to switch session affinity".
func sessionAffinity(s *space) {
	for _, name := range []string{"a", "b", "c"} {
		s.start(labelled(podOf(name), "web"))
	}
	s.start(podOf("client"))
	svc := service("web", "web")
	svc.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
	s.expose(svc)
	for _, name := range []string{"a", "b", "c", "client"} {
		s.waitReady(name)
	}
	distinct := func(want func(int) bool) func() error {
		return func() error {
			seen, err := s.answers("http://web/hostname", 15)
			if err == nil && !want(len(seen)) {
				err = fmt.Errorf("answers by pod: %v", seen)
			}
			return err
		}
	}
	s.eventually("one pod for one client", distinct(func(n int) bool { return n == 1 }))
	_, err := s.client.CoreV1().Services(s.name).Patch(s.ctx, "web", types.MergePatchType, []byte(`{"spec":{"sessionAffinity":"None"}}`), metav1.PatchOptions{})
	s.must(err)
	s.eventually("several pods without affinity", distinct(func(n int) bool { return n > 1 }))
}

// Upstream: "EndpointSlice should create Endpoints and EndpointSlices for Pods
// matching a Service" and "Probing container with readiness probe ...".
func endpointsFollowReadiness(s *space) {
	web := with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) { c.ReadinessProbe = httpProbe() })
	s.start(web)
	s.start(podOf("client"))
	s.expose(service("web", "web"))
	s.waitReady("web")
	s.waitReady("client")
	reachable := func() error { _, err := s.fetchFrom("client", "http://web/hostname"); return err }
	s.eventually("the service should work", reachable)
	s.tell("web", "fail")
	s.eventually("the service should refuse", func() error {
		if reachable() == nil {
			return errors.New("it still answers")
		}
		return nil
	})
	slices, err := s.client.DiscoveryV1().EndpointSlices(s.name).List(s.ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=web"})
	s.must(err)
	if len(slices.Items) != 1 || len(slices.Items[0].Endpoints) != 1 || *slices.Items[0].Endpoints[0].Conditions.Ready {
		s.Errorf("slices = %v, want one endpoint that is not ready", slices.Items)
	}
	s.tell("web", "heal")
	s.eventually("the service should work again", reachable)
}

// Upstream: "Services should be rejected when no endpoints exist".
func noEndpoints(s *space) {
	s.expose(service("none", "none"))
	s.startReady(podOf("client"))
	s.eventually("a connection should be refused", func() error {
		_, err := s.fetchFrom("client", "http://none/")
		if err == nil || !strings.Contains(err.Error(), "refused") {
			return fmt.Errorf("got %w", cmp.Or(err, errors.New("an answer")))
		}
		return nil
	})
}

// Upstream: "Services should serve endpoints on same port ..." and the unready
// addresses of StatefulSets: publishNotReadyAddresses.
func publishNotReady(s *space) {
	s.start(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) {
		c.ReadinessProbe = httpProbe()
		c.Env = env("START_DELAY", "600")
	}))
	svc := service("web", "web")
	svc.Spec.PublishNotReadyAddresses = true
	s.expose(svc)
	s.startReady(podOf("client"))
	s.eventually("a pod that is not ready should answer", func() error {
		_, err := s.fetchFrom("client", "http://web/hostname")
		return err
	})
	s.equal("ready", ready(s.pod("web")), false)
}

// Upstream: "Services should be able to create a functioning NodePort service".
func nodePort(s *space) {
	s.start(podOf("web"))
	s.start(podOf("client"))
	svc := service("web", "web")
	svc.Spec.Type = corev1.ServiceTypeNodePort
	svc = s.expose(svc)
	s.waitReady("web")
	s.waitReady("client")
	s.eventually("the node's port", func() error {
		_, err := s.fetchFrom("client", fmt.Sprintf("http://%s:%d/hostname", s.nodeIP(), svc.Spec.Ports[0].NodePort))
		return err
	})
}

// Upstream: "HostPort validates that there is no conflict between pods with same
// hostPort but different hostIP and protocol", reduced to that it works.
func hostPort(s *space) {
	const port = 28080
	s.start(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) {
		c.Ports = []corev1.ContainerPort{{ContainerPort: 8080, HostPort: port}}
	}))
	s.start(podOf("client"))
	s.waitReady("web")
	s.waitReady("client")
	s.eventually("the host port", func() error {
		got, err := s.fetchFrom("client", fmt.Sprintf("http://%s:%d/hostname", s.nodeIP(), port))
		if err == nil && got != "web" {
			err = fmt.Errorf("%q answered", got)
		}
		return err
	})
}

// Upstream: "Networking should function for pod-Service(hairpin)"; a pod reaches
// itself through its own service.
func hairpin(s *space) {
	// Not the pod's own name: its hosts file has that.
	s.expose(service("front", "web"))
	s.startReady(podOf("web"))
	s.eventually("the pod should reach itself", func() error {
		got, err := s.fetchFrom("web", "http://front/hostname")
		if err == nil && got != "web" {
			err = fmt.Errorf("%q answered", got)
		}
		return err
	})
}

// Upstream: "Networking should function for pod-Service: udp".
func udpService(s *space) {
	s.start(podOf("web"))
	s.start(podOf("client"))
	svc := service("echo", "web")
	svc.Spec.Ports = []corev1.ServicePort{{Name: "echo", Port: 7, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(8081)}}
	s.expose(svc)
	s.waitReady("web")
	s.waitReady("client")
	s.eventually("an echo", func() error {
		got, err := s.ask("client", "udp", "addr", "echo:7", "text", "hello")
		if err == nil && got != "web hello" {
			err = fmt.Errorf("got %q", got)
		}
		return err
	})
}

// Upstream: "KubeletManagedEtcHosts should test kubelet managed /etc/hosts file",
// "DNS should support configurable pod DNS nameservers", "Kubelet ... should
// write entries to /etc/hosts".
func podResolver(s *space) {
	s.start(with(podOf("aliases"), func(p *corev1.Pod, _ *corev1.Container) {
		p.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.7", Hostnames: []string{"far", "away"}}}
	}))
	s.start(with(podOf("own"), func(p *corev1.Pod, _ *corev1.Container) {
		p.Spec.DNSPolicy = corev1.DNSNone
		p.Spec.DNSConfig = &corev1.PodDNSConfig{
			Nameservers: []string{"192.0.2.53"}, Searches: []string{"example.test"},
			Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: new("3")}},
		}
	}))
	s.waitReady("aliases")
	s.waitReady("own")
	s.equal("address of an alias", s.tell("aliases", "resolve", "name", "away"), "192.0.2.7")
	s.contains("resolver of the cluster", s.tell("aliases", "file", "path", "/etc/resolv.conf"), "search "+s.name+".svc.cluster.local svc.cluster.local cluster.local")
	s.equal("own resolver", s.tell("own", "file", "path", "/etc/resolv.conf"), "search example.test\nnameserver 192.0.2.53\noptions ndots:3\n")
}
