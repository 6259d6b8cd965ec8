package node

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestConfiguration(t *testing.T) {
	runCases(t, []testCase{
		{"downward API as variables", downwardEnv},
		{"downward API as files", downwardFiles},
		{"variables from ConfigMap and Secret", configEnv},
		{"expansion of variables", expansion},
		{"ConfigMap as files", configFiles},
		{"Secret as files", secretFiles},
		{"updates appear", updatesAppear},
		{"what is optional may be missing", optionalConfig},
		{"several sources in one folder", projected},
		{"service account token", serviceAccountToken},
		{"token for another audience", audienceToken},
		{"no token", noToken},
		{"emptyDir on disk", emptyDirDisk},
		{"emptyDir in memory", emptyDirMemory},
		{"folder of the node", hostPath},
	})
}

func (s *space) configMap(name string, pairs ...string) {
	s.Helper()
	data := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		data[pairs[i]] = pairs[i+1]
	}
	_, err := s.client.CoreV1().ConfigMaps(s.name).Create(s.ctx,
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{})
	s.must(err)
}

func (s *space) secret(name string, pairs ...string) {
	s.Helper()
	data := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		data[pairs[i]] = pairs[i+1]
	}
	_, err := s.client.CoreV1().Secrets(s.name).Create(s.ctx,
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}, metav1.CreateOptions{})
	s.must(err)
}

func configMapVolume(name string) *corev1.ConfigMapVolumeSource {
	return &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}
}

func fromField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

// Upstream: "Downward API should provide pod name, namespace and IP address as
// env vars", "... host IP", "... container's limits.cpu/memory", "... pod UID".
func downwardEnv(s *space) {
	s.start(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) {
		c.Env = []corev1.EnvVar{
			fromField("NAME", "metadata.name"), fromField("NAMESPACE", "metadata.namespace"), fromField("UID", "metadata.uid"),
			fromField("IP", "status.podIP"), fromField("HOST", "status.hostIP"), fromField("NODE", "spec.nodeName"),
			fromField("ACCOUNT", "spec.serviceAccountName"), fromField("LABEL", "metadata.labels['app']"),
			{Name: "CPU", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
			{Name: "MEMORY", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory"}}},
		}
		c.Resources.Limits = amounts("memory", "64Mi")
	}))
	p := s.waitReady("web")
	for name, want := range map[string]string{
		"NAME": "web", "NAMESPACE": s.name, "UID": string(p.UID), "IP": p.Status.PodIP, "HOST": s.nodeIP(), "NODE": p.Spec.NodeName,
		"ACCOUNT": "default", "LABEL": "web", "MEMORY": "67108864",
		// Without a limit: what the node can give, in whole cores.
		"CPU": fmt.Sprint(s.node().Status.Allocatable.Cpu().Value()),
	} {
		s.equal(name, s.tell("web", "env", "name", name), want)
	}
}

// Upstream: "Downward API volume should update labels/annotations on
// modification", "should provide container's memory limit", "should set mode".
func downwardFiles(s *space) {
	field := func(path, ref string) corev1.DownwardAPIVolumeFile {
		return corev1.DownwardAPIVolumeFile{Path: path, FieldRef: &corev1.ObjectFieldSelector{FieldPath: ref}}
	}
	items := []corev1.DownwardAPIVolumeFile{
		field("name", "metadata.name"), field("labels", "metadata.labels"), field("notes", "metadata.annotations"),
		{Path: "memory", Mode: new(int32(0o440)), ResourceFieldRef: &corev1.ResourceFieldSelector{ContainerName: "main", Resource: "limits.memory"}},
	}
	p := mount(podOf("web"), "info", "/info", corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: items}})
	p.Spec.Containers[0].Resources.Limits = amounts("memory", "64Mi")
	p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: new(int64(4000))}
	p.Annotations = map[string]string{"note": "old"}
	s.startReady(p)
	s.equal("name", s.tell("web", "file", "path", "/info/name"), "web")
	s.equal("memory", s.tell("web", "file", "path", "/info/memory"), "67108864")
	s.equal("mode, owner and group", s.tell("web", "stat", "path", "/info/memory"), "440 0 4000 8")
	s.contains("labels", s.tell("web", "file", "path", "/info/labels"), `app="web"`)
	s.contains("annotations", s.tell("web", "file", "path", "/info/notes"), `note="old"`)
	_, err := s.client.CoreV1().Pods(s.name).Patch(s.ctx, "web", types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"more":"label"},"annotations":{"note":"new"}}}`), metav1.PatchOptions{})
	s.must(err)
	s.within(longPatience, "the new metadata", func() error {
		labels, notes := s.tell("web", "file", "path", "/info/labels"), s.tell("web", "file", "path", "/info/notes")
		if !strings.Contains(labels, `more="label"`) || !strings.Contains(notes, `note="new"`) {
			return fmt.Errorf("labels %q, annotations %q", labels, notes)
		}
		return nil
	})
}

// Upstream: "ConfigMap should be consumable via environment variable", "Secrets
// should be consumable from pods in env vars", both also as a whole.
func configEnv(s *space) {
	s.configMap("settings", "color", "blue", "SIZE", "9")
	s.secret("keys", "token", "hush")
	name := func(n string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: n} }
	s.start(with(podOf("web"), func(_ *corev1.Pod, c *corev1.Container) {
		c.Env = []corev1.EnvVar{
			{Name: "COLOR", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: name("settings"), Key: "color"}}},
			{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: name("keys"), Key: "token"}}},
			{Name: "NONE", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: name("missing"), Key: "x", Optional: new(true)}}},
		}
		c.EnvFrom = []corev1.EnvFromSource{
			{Prefix: "CM_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: name("settings")}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: name("keys")}},
		}
	}))
	s.waitReady("web")
	for name, want := range map[string]string{"COLOR": "blue", "TOKEN": "hush", "CM_SIZE": "9", "CM_color": "blue", "token": "hush"} {
		s.equal(name, s.tell("web", "env", "name", name), want)
	}
	if value, err := s.ask("web", "env", "name", "NONE"); err == nil {
		s.Errorf("a missing optional key is set to %q", value)
	}
}

// Upstream: "Variable Expansion should allow composing env vars into new env
// vars", "... substituting values in a container's args", "... in a volume subpath".
func expansion(s *space) {
	s.startToEnd(with(once("args", "say", "$(BOTH)", "$$(BOTH)", "0"), func(_ *corev1.Pod, c *corev1.Container) {
		c.Env = env("ONE", "1", "BOTH", "$(ONE)-2")
	}))
	got := s.logs("args", corev1.PodLogOptions{})
	s.contains("expanded", got, "1-2\n")
	s.contains("escaped", got, "$(BOTH)\n")
	p := mount(podOf("sub"), "data", "/data", emptyDir("", ""))
	c := &p.Spec.Containers[0]
	c.Env = []corev1.EnvVar{fromField("NAME", "metadata.name")}
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "data", MountPath: "/own", SubPathExpr: "dir-$(NAME)"})
	s.startReady(p)
	s.tell("sub", "write", "path", "/own/file", "text", "here")
	s.equal("file below the volume", s.tell("sub", "file", "path", "/data/dir-sub/file"), "here")
}

// Upstream: "ConfigMap should be consumable from pods in volume", "... with
// mappings and Item mode set", "... as non-root", subPath of "Subpath Atomic writer".
func configFiles(s *space) {
	s.configMap("settings", "color", "blue", "size", "9")
	source := configMapVolume("settings")
	source.DefaultMode = new(int32(0o444))
	p := mount(podOf("web"), "all", "/all", corev1.VolumeSource{ConfigMap: source})
	chosen := configMapVolume("settings")
	chosen.Items = []corev1.KeyToPath{{Key: "color", Path: "deep/er/colour", Mode: new(int32(0o404))}}
	mount(p, "some", "/some", corev1.VolumeSource{ConfigMap: chosen})
	c := &p.Spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "all", MountPath: "/etc/one-size", SubPath: "size"})
	// Without a group it would be root's, as the image has no list of users.
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000)), RunAsGroup: new(int64(1000))}
	s.startReady(p)
	s.equal("file", s.tell("web", "file", "path", "/all/color"), "blue")
	s.equal("mode", s.tell("web", "stat", "path", "/all/color"), "444 0 0 4")
	s.equal("chosen file", s.tell("web", "file", "path", "/some/deep/er/colour"), "blue")
	s.equal("its mode", s.tell("web", "stat", "path", "/some/deep/er/colour"), "404 0 0 4")
	s.equal("one file of it", s.tell("web", "file", "path", "/etc/one-size"), "9")
	if _, err := s.ask("web", "file", "path", "/some/size"); err == nil {
		s.Error("a file that was not chosen is there")
	}
	if _, err := s.ask("web", "write", "path", "/all/color", "text", "red"); err == nil {
		s.Error("a ConfigMap's file can be written")
	}
}

// Upstream: "Secrets should be consumable from pods in volume as non-root with
// defaultMode and fsGroup set".
func secretFiles(s *space) {
	s.secret("keys", "token", "hush")
	p := mount(podOf("web"), "keys", "/keys", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "keys", DefaultMode: new(int32(0o440))}})
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(1000)), FSGroup: new(int64(1001))}
	s.startReady(p)
	s.equal("file", s.tell("web", "file", "path", "/keys/token"), "hush")
	s.equal("mode, owner and group", s.tell("web", "stat", "path", "/keys/token"), "440 0 1001 4")
	magic, _, _ := strings.Cut(s.tell("web", "fsize", "path", "/keys"), " ")
	s.equal("type of the file system (tmpfs)", magic, "1021994")
}

// Upstream: "ConfigMap updates should be reflected in volume", "Secrets optional
// updates should be reflected in volume"; a subPath keeps the old text.
func updatesAppear(s *space) {
	s.configMap("settings", "color", "blue")
	s.secret("keys", "token", "old")
	p := mount(podOf("web"), "settings", "/settings", corev1.VolumeSource{ConfigMap: configMapVolume("settings")})
	mount(p, "keys", "/keys", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "keys"}})
	mount(p, "later", "/later", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "later", Optional: new(true)}})
	c := &p.Spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "settings", MountPath: "/fixed", SubPath: "color"})
	s.startReady(p)
	_, err := s.client.CoreV1().ConfigMaps(s.name).Patch(s.ctx, "settings", types.MergePatchType, []byte(`{"data":{"color":"red","more":"x"}}`), metav1.PatchOptions{})
	s.must(err)
	_, err = s.client.CoreV1().Secrets(s.name).Patch(s.ctx, "keys", types.MergePatchType, []byte(`{"stringData":{"token":"new"}}`), metav1.PatchOptions{})
	s.must(err)
	s.secret("later", "here", "now")
	want := map[string]string{"/settings/color": "red", "/settings/more": "x", "/keys/token": "new", "/later/here": "now"}
	s.within(longPatience, "the new values", func() error {
		for path, text := range want {
			if got, err := s.ask("web", "file", "path", path); err != nil || got != text {
				return fmt.Errorf("%s = %q: %w", path, got, cmp.Or(err, errors.New("not what was written")))
			}
		}
		return nil
	})
	s.equal("a single mounted file", s.tell("web", "file", "path", "/fixed"), "blue")
}

// Upstream: "ConfigMap optional ...", and that a missing one that is not
// optional keeps the pod from starting until it is there.
func optionalConfig(s *space) {
	source := configMapVolume("missing")
	source.Optional = new(true)
	s.startReady(mount(podOf("free"), "settings", "/settings", corev1.VolumeSource{ConfigMap: source}))
	s.start(mount(podOf("bound"), "settings", "/settings", corev1.VolumeSource{ConfigMap: configMapVolume("wanted")}))
	s.always("a pod waits for its ConfigMap", func() error {
		if phase := s.pod("bound").Status.Phase; phase != corev1.PodPending {
			return fmt.Errorf("it is %s", phase)
		}
		return nil
	})
	s.configMap("wanted", "color", "blue")
	s.waitPodFor(longPatience, "bound", "become ready", ready)
}

// Upstream: "Projected combined should project all components that make up the
// projection API".
func projected(s *space) {
	s.configMap("settings", "color", "blue")
	s.secret("keys", "token", "hush")
	sources := []corev1.VolumeProjection{
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
		{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "keys"}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "name", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}},
		}}},
	}
	s.startReady(mount(podOf("web"), "all", "/all", corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}}))
	for file, want := range map[string]string{"color": "blue", "token": "hush", "name": "web"} {
		s.equal(file, s.tell("web", "file", "path", "/all/"+file), want)
	}
}

const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount/"

// Upstream: "ServiceAccounts should mount an API token into pods", "should mount
// projected service account token"; it must work at the API server.
func serviceAccountToken(s *space) {
	s.startReady(podOf("web"))
	s.equal("namespace", s.tell("web", "file", "path", accountFolder+"namespace"), s.name)
	ask := func(path string) (string, error) {
		return s.ask("web", "fetch", "url", "https://kubernetes.default.svc"+path, "token", accountFolder+"token", "ca", accountFolder+"ca.crt")
	}
	version, err := ask("/version")
	s.must(err)
	s.contains("version", version, `"gitVersion"`)
	// It is known, but may not do anything.
	_, err = ask("/api/v1/namespaces/" + s.name + "/secrets")
	if err == nil || !strings.Contains(err.Error(), "system:serviceaccount:"+s.name+":default") {
		s.Errorf("error = %v, want a refusal for the service account", err)
	}
}

// Upstream: "ServiceAccounts ... projected token with audience and expiration";
// checked by TokenReview.
func audienceToken(s *space) {
	source := &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
		Audience: "vault", ExpirationSeconds: new(int64(900)), Path: "vault-token",
	}}}}
	p := s.startReady(mount(podOf("web"), "tokens", "/tokens", corev1.VolumeSource{Projected: source}))
	token := s.tell("web", "file", "path", "/tokens/vault-token")
	review := func(audience string) authv1.TokenReviewStatus {
		r, err := s.client.AuthenticationV1().TokenReviews().Create(s.ctx,
			&authv1.TokenReview{Spec: authv1.TokenReviewSpec{Token: token, Audiences: []string{audience}}}, metav1.CreateOptions{})
		s.must(err)
		return r.Status
	}
	st := review("vault")
	s.equal("authenticated for its audience", st.Authenticated, true)
	s.equal("user", st.User.Username, "system:serviceaccount:"+s.name+":default")
	s.equal("bound to the pod", fmt.Sprint(st.User.Extra["authentication.kubernetes.io/pod-name"]), "[web]")
	s.equal("bound to the node", fmt.Sprint(st.User.Extra["authentication.kubernetes.io/node-name"]), "["+p.Spec.NodeName+"]")
	s.equal("authenticated for another", review("bank").Authenticated, false)
	var claims struct{ Iat, Exp int64 }
	s.must(json.Unmarshal(payload(s, token), &claims))
	s.equal("life in seconds", claims.Exp-claims.Iat, int64(900))
}

// Upstream: "ServiceAccounts should allow opting out of API token automount".
func noToken(s *space) {
	s.startReady(with(podOf("web"), func(p *corev1.Pod, _ *corev1.Container) { p.Spec.AutomountServiceAccountToken = new(false) }))
	if _, err := s.ask("web", "file", "path", accountFolder+"token"); err == nil {
		s.Error("there is a token")
	}
}

// Upstream: "EmptyDir volumes should support (root,0777,default)", "pod should
// support shared volumes between containers".
func emptyDirDisk(s *space) {
	p := mount(podOf("web"), "data", "/data", emptyDir("", ""))
	second := container("second")
	second.Env = env("PORT", "8090", "ONLY_HTTP", "1")
	second.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/other"}}
	p.Spec.Containers = append(p.Spec.Containers, second)
	s.startReady(p)
	mode, _, _ := strings.Cut(s.tell("web", "stat", "path", "/data"), " ")
	s.equal("mode", mode, "777")
	s.tell("web", "write", "path", "/data/file", "text", "shared")
	got, err := s.exec("web", "second", "cat", "/other/file")
	s.must(err)
	s.equal("what the other container reads", got.out, "shared")
	s.tell("web", "exit", "code", "1")
	s.waitPod("web", "be restarted", func(p *corev1.Pod) bool { return restarts(p) == 1 && ready(p) })
	s.equal("what survives a restart", s.tell("web", "file", "path", "/data/file"), "shared")
}

// Upstream: "EmptyDir volumes ... tmpfs", "pod should support memory backed
// volumes of specified size".
func emptyDirMemory(s *space) {
	s.startReady(mount(podOf("web"), "data", "/data", emptyDir(corev1.StorageMediumMemory, "8Mi")))
	s.equal("type and size", s.tell("web", "fsize", "path", "/data"), fmt.Sprintf("1021994 %d", 8<<20))
	s.tell("web", "write", "path", "/data/fits", "bytes", fmt.Sprint(4<<20))
	if _, err := s.ask("web", "write", "path", "/data/too-much", "bytes", fmt.Sprint(8<<20)); err == nil {
		s.Error("more than the limit could be written")
	}
}

// Upstream: "HostPath should support r/w", on a folder of the node.
func hostPath(s *space) {
	dir := "/run/test-" + s.name
	source := corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir, Type: new(corev1.HostPathDirectoryOrCreate)}}
	root := func(name string) *corev1.Pod {
		p := mount(podOf(name), "data", "/data", source)
		p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(0))}
		return p
	}
	s.startReady(root("writer"))
	s.startReady(root("reader"))
	s.tell("writer", "write", "path", "/data/file", "text", "shared")
	s.equal("what the other pod reads", s.tell("reader", "file", "path", "/data/file"), "shared")
}
