package controlplane

import (
	"os"
	"slices"
	"strings"
	"testing"

	auditpolicy "k8s.io/apiserver/pkg/audit/policy"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"

	"k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/tatami-platform/tatami/cluster/internal/instance"
)

// value of a flag; missing flags are empty.
func value(flags []string, name string) string {
	for _, f := range flags {
		if v, ok := strings.CutPrefix(f, "--"+name+"="); ok {
			return v
		}
	}
	return ""
}

func TestAPIServerFlags(t *testing.T) {
	c := instance.Config{Name: "x", DataDir: "/d", RealNode: true}
	flags := apiServerFlags(c, "/d/audit/policy.yaml")
	for name, want := range map[string]string{
		"authorization-mode":            "Node,RBAC",
		"audit-policy-file":             "/d/audit/policy.yaml",
		"audit-log-path":                "/d/audit/audit.log",
		"client-ca-file":                "/d/pki/ca.crt",
		"tls-cert-file":                 "/d/pki/apiserver.crt",
		"kubelet-certificate-authority": "/d/pki/ca.crt",
		"profiling":                     "false",
		"service-cluster-ip-range":      instance.ServiceCIDR.String(),
		"etcd-servers":                  "unix:///d/etcd/etcd.sock",
		"advertise-address":             instance.NodeIP.String(),
		"endpoint-reconciler-type":      "",
	} {
		if got := value(flags, name); got != want {
			t.Errorf("--%s is %q, want %q", name, got, want)
		}
	}
	plugins := strings.Split(value(flags, "enable-admission-plugins"), ",")
	for _, want := range []string{"NodeRestriction", "PodSecurity"} {
		if !slices.Contains(plugins, want) {
			t.Errorf("admission plugins %v lack %s", plugins, want)
		}
	}
	for _, f := range flags {
		name, _, _ := strings.Cut(strings.TrimPrefix(f, "--"), "=")
		if n := slices.IndexFunc(flags, func(g string) bool { return g != f && strings.HasPrefix(g, "--"+name+"=") }); n >= 0 {
			t.Errorf("--%s is given twice", name)
		}
		if strings.HasPrefix(name, "insecure") || name == "token-auth-file" {
			t.Errorf("%s opens a door", f)
		}
	}
	none := apiServerFlags(instance.Config{Name: "x", DataDir: "/d"}, "p")
	if value(none, "advertise-address") != "127.0.0.1" || value(none, "endpoint-reconciler-type") != "none" {
		t.Errorf("without a node: %v", none)
	}
}

// TestAPIServerTakesItsFlags: a flag that an upgrade of Kubernetes removes
// fails here and not at the start.
func TestAPIServerTakesItsFlags(t *testing.T) {
	for _, real := range []bool{true, false} {
		s := apiserveroptions.NewServerRunOptions()
		if err := parse(s.Flags(), apiServerFlags(instance.Config{Name: "x", DataDir: "/d", RealNode: real}, "p")); err != nil {
			t.Error(err)
		}
	}
	if err := parse(apiserveroptions.NewServerRunOptions().Flags(), []string{"--no-such-flag=1"}); err == nil {
		t.Error("an unknown flag is taken")
	}
}

func TestLeftOutControllersExist(t *testing.T) {
	known := controllermanager.KnownControllers()
	seen := map[string]bool{}
	for _, name := range leftOut() {
		if !slices.Contains(known, name) {
			t.Errorf("there is no controller %q", name)
		}
		if seen[name] {
			t.Errorf("%s is named twice", name)
		}
		seen[name] = true
	}
	for _, name := range []string{
		"podcertificaterequest-cleaner-controller", "kube-apiserver-serving-clustertrustbundle-publisher-controller",
		"deployment-controller", "replicaset-controller", "endpointslice-controller", "node-lifecycle-controller",
		"serviceaccount-controller", "namespace-controller", "garbage-collector-controller", "job-controller",
	} {
		if seen[name] || !slices.Contains(known, name) {
			t.Errorf("%s does not run (known: %t)", name, slices.Contains(known, name))
		}
	}
}

// TestAuditPolicy asks Kubernetes' own evaluator what would be logged.
func TestAuditPolicy(t *testing.T) {
	policy, err := auditpolicy.LoadPolicyFromBytes(auditPolicy)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range policy.Rules {
		if rule.Level != audit.LevelNone && rule.Level != audit.LevelMetadata {
			t.Errorf("a rule logs contents: %v", rule)
		}
	}
	evaluator := auditpolicy.NewPolicyRuleEvaluator(policy)
	person := &user.DefaultInfo{Name: "tatami-admin", Groups: []string{"system:masters"}}
	kubelet := &user.DefaultInfo{Name: "system:node:n", Groups: []string{"system:nodes"}}
	for _, tt := range []struct {
		name string
		who  user.Info
		verb string
		what authorizer.AttributesRecord
		want audit.Level
	}{
		{"a person writes", person, "create", resource("", "pods"), audit.LevelMetadata},
		{"a person deletes", person, "delete", resource("apps", "deployments"), audit.LevelMetadata},
		{"a person reads a secret", person, "get", resource("", "secrets"), audit.LevelMetadata},
		{"a person lists secrets", person, "list", resource("", "secrets"), audit.LevelMetadata},
		{"a person reads a pod", person, "get", resource("", "pods"), audit.LevelNone},
		{"a person changes a role", person, "patch", resource("rbac.authorization.k8s.io", "clusterroles"), audit.LevelMetadata},
		{"kubelet reads", kubelet, "list", resource("", "pods"), audit.LevelNone},
		{"kubelet writes a lease", kubelet, "update", resource("coordination.k8s.io", "leases"), audit.LevelNone},
		{"kubelet writes a pod", kubelet, "patch", resource("", "pods"), audit.LevelMetadata},
		{"an event", kubelet, "create", resource("", "events"), audit.LevelNone},
	} {
		tt.what.User, tt.what.Verb = tt.who, tt.verb
		if got := evaluator.EvaluatePolicyRule(&tt.what).Level; got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func resource(group, name string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{APIGroup: group, Resource: name, ResourceRequest: true}
}

func TestEtcdConfig(t *testing.T) {
	c := instance.Config{Name: "x", DataDir: t.TempDir()}
	for _, durable := range []bool{false, true} {
		c.Durable = durable
		// What a killed store leaves.
		if err := instance.WriteFile(etcdSocket(c), nil); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(c.Path("log"), 0o700); err != nil {
			t.Fatal(err)
		}
		cfg, err := etcdConfig(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := cfg.Validate(); err != nil {
			t.Errorf("etcd would refuse it: %v", err)
		}
		if cfg.UnsafeNoFsync == durable {
			t.Errorf("durable %t, no flush %t", durable, cfg.UnsafeNoFsync)
		}
		for _, u := range append(cfg.ListenClientUrls, cfg.ListenPeerUrls...) {
			if u.Scheme != "unix" || !strings.HasPrefix(u.Path, c.DataDir) {
				t.Errorf("the store listens on %s", u.String())
			}
		}
		if _, err := os.Stat(etcdSocket(c)); !os.IsNotExist(err) {
			t.Errorf("the old socket is still there (%v)", err)
		}
	}
	if st, err := os.Stat(c.Path("etcd")); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode of the store's folder: %v (%v)", st.Mode(), err)
	}
}
