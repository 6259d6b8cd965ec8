package node

import (
	"context"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestSecurity(t *testing.T) {
	runCases(t, []testCase{
		{"user and groups", userAndGroups},
		{"runAsNonRoot refuses root", nonRoot},
		{"read-only root", readOnlyRoot},
		{"capabilities", capabilities},
		{"seccomp", seccomp},
		{"no new privileges", noNewPrivileges},
		{"privileged", privileged},
		{"safe sysctls", sysctls},
		{"restricted namespace", restrictedNamespace},
		{"baseline namespace", baselineNamespace},
		{"node's network", hostNetwork},
		{"node's processes", hostPID},
		{"RBAC", rbac},
		{"kubelet may not change others", nodeRestriction},
		{"unknown callers are refused", anonymous},
	})
}

// selfStatus is a line of /proc/PID/status, e.g. Uid, CapEff, Seccomp.
func (s *space) selfStatus(pod, key string) string {
	s.Helper()
	for line := range strings.Lines(s.tell(pod, "file", "path", "/proc/self/status")) {
		if name, value, _ := strings.Cut(line, ":"); name == key {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	s.Fatalf("/proc/self/status has no %s", key)
	return ""
}

func secured(name string, set func(*corev1.SecurityContext)) *corev1.Pod {
	return with(podOf(name), func(_ *corev1.Pod, c *corev1.Container) {
		c.SecurityContext = &corev1.SecurityContext{}
		set(c.SecurityContext)
	})
}

// Upstream: "Security Context when creating a container with runAsUser should
// run the container with uid ...", "SupplementalGroups", "fsGroup".
func userAndGroups(s *space) {
	p := mount(podOf("web"), "data", "/data", emptyDir("", ""))
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsUser: new(int64(1000)), RunAsGroup: new(int64(2000)), FSGroup: new(int64(3000)), SupplementalGroups: []int64{4000},
	}
	s.startReady(p)
	s.equal("user", s.selfStatus("web", "Uid"), "1000 1000 1000 1000")
	s.equal("group", s.selfStatus("web", "Gid"), "2000 2000 2000 2000")
	groups := " " + s.selfStatus("web", "Groups") + " "
	s.contains("groups", groups, " 3000 ")
	s.contains("groups", groups, " 4000 ")
	s.tell("web", "write", "path", "/data/file", "text", "x")
	s.equal("owner of a new file", s.tell("web", "stat", "path", "/data/file"), "644 1000 3000 1")
	// The container's own setting wins over the pod's.
	own := with(podOf("own"), func(p *corev1.Pod, c *corev1.Container) {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000))}
		c.SecurityContext = &corev1.SecurityContext{RunAsUser: new(int64(1001))}
	})
	s.startReady(own)
	s.equal("user", s.selfStatus("own", "Uid"), "1001 1001 1001 1001")
}

// Upstream: "Security Context should not run with an explicit root user ID".
func nonRoot(s *space) {
	s.start(secured("root", func(c *corev1.SecurityContext) { c.RunAsNonRoot, c.RunAsUser = new(true), new(int64(0)) }))
	s.waitPod("root", "be refused", func(p *corev1.Pod) bool {
		w := status(p, "main").State.Waiting
		return w != nil && w.Reason == "CreateContainerConfigError"
	})
	s.startReady(secured("other", func(c *corev1.SecurityContext) { c.RunAsNonRoot = new(true) }))
}

// Upstream: "Security Context ... readOnlyRootFilesystem".
func readOnlyRoot(s *space) {
	for name, only := range map[string]bool{"locked": true, "open": false} {
		s.startReady(secured(name, func(c *corev1.SecurityContext) { c.ReadOnlyRootFilesystem, c.RunAsUser = new(only), new(int64(0)) }))
		_, err := s.ask(name, "write", "path", "/file", "text", "x")
		if (err != nil) != only {
			s.Errorf("%s: writing to the root: %v", name, err)
		}
		if only && !strings.Contains(err.Error(), "read-only") {
			s.Errorf("%s: error = %v", name, err)
		}
	}
}

// Upstream (node suite): "Security Context ... capabilities".
func capabilities(s *space) {
	s.startReady(secured("none", func(c *corev1.SecurityContext) {
		c.RunAsUser, c.Capabilities = new(int64(0)), &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
	}))
	s.equal("bounding set", s.selfStatus("none", "CapBnd"), "0000000000000000")
	s.startReady(secured("bind", func(c *corev1.SecurityContext) {
		c.RunAsUser, c.Capabilities = new(int64(0)), &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: []corev1.Capability{"NET_BIND_SERVICE"}}
	}))
	s.equal("effective set", s.selfStatus("bind", "CapEff"), "0000000000000400")
	// The low ports need no capability, as with other engines.
	s.startReady(with(podOf("low"), func(_ *corev1.Pod, c *corev1.Container) { c.Env = env("PORT", "80", "ONLY_HTTP", "1") }))
}

// Upstream: "SeccompDefault"; the platform has it on.
func seccomp(s *space) {
	for name, tt := range map[string]struct {
		profile *corev1.SeccompProfile
		want    string
	}{
		"unset":      {nil, "2"},
		"default":    {&corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}, "2"},
		"unconfined": {&corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}, "0"},
	} {
		s.startReady(secured(name, func(c *corev1.SecurityContext) { c.SeccompProfile = tt.profile }))
		s.equal("seccomp mode "+name, s.selfStatus(name, "Seccomp"), tt.want)
	}
}

// Upstream: "Security Context when creating containers with
// AllowPrivilegeEscalation should not allow privilege escalation when false".
func noNewPrivileges(s *space) {
	s.startReady(secured("no", func(c *corev1.SecurityContext) { c.AllowPrivilegeEscalation = new(false) }))
	s.startReady(secured("yes", func(c *corev1.SecurityContext) { c.AllowPrivilegeEscalation = new(true) }))
	s.equal("no_new_privs", s.selfStatus("no", "NoNewPrivs"), "1")
	s.equal("no_new_privs", s.selfStatus("yes", "NoNewPrivs"), "0")
}

// Upstream: "Security Context When creating a pod with privileged should run the
// container as privileged when true".
func privileged(s *space) {
	s.startReady(secured("plain", func(c *corev1.SecurityContext) { c.RunAsUser = new(int64(0)) }))
	s.startReady(secured("mighty", func(c *corev1.SecurityContext) { c.RunAsUser, c.Privileged = new(int64(0)), new(true) }))
	plain, mighty := s.selfStatus("plain", "CapEff"), s.selfStatus("mighty", "CapEff")
	if plain == mighty || len(mighty) != 16 {
		s.Errorf("capabilities: plain %s, privileged %s", plain, mighty)
	}
	s.equal("seccomp mode of the privileged one", s.selfStatus("mighty", "Seccomp"), "0")
	if _, err := s.ask("mighty", "stat", "path", "/dev/kmsg"); err != nil {
		s.Errorf("a privileged container lacks the node's devices: %v", err)
	}
}

// Upstream: "Sysctls should support sysctls", "should not launch unsafe, but not
// explicitly enabled sysctls on the node".
func sysctls(s *space) {
	for name, key := range map[string]string{"safe": "net.ipv4.ip_local_port_range", "unsafe": "kernel.msgmax"} {
		s.start(with(podOf(name), func(p *corev1.Pod, _ *corev1.Container) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: key, Value: "20000 21000"}}}
		}))
	}
	s.waitReady("safe")
	s.equal("port range", strings.Join(strings.Fields(s.tell("safe", "file", "path", "/proc/sys/net/ipv4/ip_local_port_range")), " "), "20000 21000")
	s.waitPod("unsafe", "be refused", func(p *corev1.Pod) bool { return p.Status.Reason == "SysctlForbidden" })
}

func (s *space) enforce(level string) {
	s.Helper()
	_, err := s.client.CoreV1().Namespaces().Patch(s.ctx, s.name, types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"`+level+`"}}}`), metav1.PatchOptions{})
	s.must(err)
}

// refused wants the API server to forbid a pod for a reason.
func (s *space) refused(p *corev1.Pod, reason string) {
	s.Helper()
	_, err := s.client.CoreV1().Pods(s.name).Create(s.ctx, p, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), reason) {
		s.Errorf("error = %v, want a refusal for %q", err, reason)
	}
}

// Upstream: "PodSecurity" of the admission tests.
func restrictedNamespace(s *space) {
	s.enforce("restricted")
	s.refused(secured("mighty", func(c *corev1.SecurityContext) { c.Privileged = new(true) }), "privileged")
	s.refused(podOf("plain"), "restricted")
	s.startReady(secured("good", func(c *corev1.SecurityContext) {
		c.RunAsNonRoot, c.AllowPrivilegeEscalation = new(true), new(false)
		c.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
		c.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}))
}

func baselineNamespace(s *space) {
	s.enforce("baseline")
	s.refused(with(podOf("host"), func(p *corev1.Pod, _ *corev1.Container) { p.Spec.HostNetwork = true }), "hostNetwork")
	s.refused(with(podOf("pid"), func(p *corev1.Pod, _ *corev1.Container) { p.Spec.HostPID = true }), "hostPID")
	s.startReady(podOf("plain"))
}

// Upstream: "Security Context ... hostNetwork", in the node's own small machine.
func hostNetwork(s *space) {
	const port = "28090"
	s.startReady(with(podOf("host"), func(p *corev1.Pod, c *corev1.Container) {
		p.Spec.HostNetwork, p.Spec.DNSPolicy = true, corev1.DNSClusterFirstWithHostNet
		c.Env = env("PORT", port, "ONLY_HTTP", "1")
	}))
	p := s.startReady(podOf("client"))
	s.equal("address", s.pod("host").Status.PodIP, s.nodeIP())
	s.equal("name", s.tell("client", "fetch", "url", "http://"+s.nodeIP()+":"+port+"/hostname"), p.Spec.NodeName)
	s.equal("DNS from there", s.tell("client", "fetch", "url", "http://"+s.nodeIP()+":"+port+"/resolve?name=kubernetes.default.svc.cluster.local"), "10.96.0.1")
}

// Upstream: "Security Context ... hostPID": the node's first process is seen.
func hostPID(s *space) {
	s.startReady(with(podOf("all"), func(p *corev1.Pod, _ *corev1.Container) { p.Spec.HostPID = true }))
	s.contains("first process of the node", s.tell("all", "file", "path", "/proc/1/cmdline"), "serve-cluster")
	s.startReady(podOf("own"))
	s.contains("first process of a pod", s.tell("own", "file", "path", "/proc/1/cmdline"), "/probe")
}

// Upstream: "ServiceAccounts", "RBAC": nothing is allowed before it is granted.
func rbac(s *space) {
	as := rest.CopyConfig(shared.config)
	as.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + s.name + ":reader", Groups: []string{"system:serviceaccounts", "system:authenticated"}}
	reader, err := kubernetes.NewForConfig(as)
	s.must(err)
	list := func(ns string) error {
		_, err := reader.CoreV1().Pods(ns).List(s.ctx, metav1.ListOptions{})
		return err
	}
	if err := list(s.name); !apierrors.IsForbidden(err) {
		s.Fatalf("error = %v, want forbidden", err)
	}
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}}
	_, err = s.client.RbacV1().Roles(s.name).Create(s.ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: rules}, metav1.CreateOptions{})
	s.must(err)
	_, err = s.client.RbacV1().RoleBindings(s.name).Create(s.ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "reader"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "reader", Namespace: s.name}},
	}, metav1.CreateOptions{})
	s.must(err)
	s.eventually("the grant should work", func() error { return list(s.name) })
	if err := list("kube-system"); !apierrors.IsForbidden(err) {
		s.Errorf("error in another namespace = %v, want forbidden", err)
	}
	if err := reader.CoreV1().Pods(s.name).Delete(s.ctx, "any", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		s.Errorf("error of another verb = %v, want forbidden", err)
	}
}

// Upstream: "NodeAuthenticator/NodeAuthorizer": with kubelet's own credentials.
func nodeRestriction(s *space) {
	s.secret("keys", "token", "hush")
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(shared.dataDir, "pki", "kubelet.kubeconfig"))
	s.must(err)
	// The file's address is one of the node's own network.
	config.Host = shared.config.Host
	kubelet, err := kubernetes.NewForConfig(config)
	s.must(err)
	own := s.node().Name
	patch := func(node, labels string) error {
		_, err := kubelet.CoreV1().Nodes().Patch(s.ctx, node, types.MergePatchType, []byte(`{"metadata":{"labels":{`+labels+`}}}`), metav1.PatchOptions{})
		return err
	}
	s.must(patch(own, `"node.kubernetes.io/test":"x"`))
	_, err = s.client.CoreV1().Nodes().Create(s.ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.name}, Spec: corev1.NodeSpec{Unschedulable: true}}, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() { _ = s.client.CoreV1().Nodes().Delete(context.Background(), s.name, metav1.DeleteOptions{}) })
	for what, err := range map[string]error{
		"another node":      patch(s.name, `"node.kubernetes.io/test":"x"`),
		"a protected label": patch(own, `"node-restriction.kubernetes.io/test":"x"`),
		"a secret of no pod of its": func() error {
			_, err := kubelet.CoreV1().Secrets(s.name).Get(s.ctx, "keys", metav1.GetOptions{})
			return err
		}(),
	} {
		if !apierrors.IsForbidden(err) {
			s.Errorf("%s: error = %v, want forbidden", what, err)
		}
	}
}

// Upstream: "NodeAuthenticator The kubelet can delegate ..., the kubelet's main
// port should reject requests with no credentials".
func anonymous(s *space) {
	s.startReady(podOf("web"))
	for _, path := range []string{"/pods", "/metrics", "/configz"} {
		_, err := s.fetchFrom("web", "https://"+s.nodeIP()+":10250"+path)
		if err == nil || !strings.Contains(err.Error(), "401") {
			s.Errorf("kubelet answers %s with %v, want 401", path, err)
		}
	}
	if _, err := s.fetchFrom("web", "http://"+s.nodeIP()+":10255/pods"); err == nil {
		s.Error("kubelet has an open port for readers")
	}
	for path, want := range map[string]string{"/api/v1/pods": "403", "/metrics": "403"} {
		_, err := s.fetchFrom("web", "https://kubernetes.default"+path)
		if err == nil || !strings.Contains(err.Error(), want) {
			s.Errorf("the API server answers %s with %v, want %s", path, err, want)
		}
	}
}

// payload is the middle part of a token.
func payload(s *space, token string) []byte {
	s.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		s.Fatalf("a token of %d parts", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	s.must(err)
	return raw
}
