package node

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// container runs the probe; without arguments it serves.
func container(name string, args ...string) corev1.Container {
	if len(args) == 0 {
		args = []string{"serve"}
	}
	return corev1.Container{Name: name, Image: probeImage, ImagePullPolicy: corev1.PullNever, Args: args}
}

// podOf makes a pod of one container called main, that ends quickly when told to.
func podOf(name string, args ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			Containers:                    []corev1.Container{container("main", args...)},
			TerminationGracePeriodSeconds: new(int64(5)),
		},
	}
}

// once is podOf for a program that ends.
func once(name string, args ...string) *corev1.Pod {
	p := podOf(name, args...)
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
	return p
}

// with changes a pod in an expression.
func with(p *corev1.Pod, change func(*corev1.Pod, *corev1.Container)) *corev1.Pod {
	change(p, &p.Spec.Containers[0])
	return p
}

// labelled gives the pod the label that services select by.
func labelled(p *corev1.Pod, app string) *corev1.Pod {
	p.Labels = map[string]string{"app": app}
	return p
}

func env(pairs ...string) []corev1.EnvVar {
	var vars []corev1.EnvVar
	for i := 0; i+1 < len(pairs); i += 2 {
		vars = append(vars, corev1.EnvVar{Name: pairs[i], Value: pairs[i+1]})
	}
	return vars
}

// mount adds a volume and mounts it in the first container.
func mount(p *corev1.Pod, name, path string, source corev1.VolumeSource) *corev1.Pod {
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	c := &p.Spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path})
	return p
}

func emptyDir(medium corev1.StorageMedium, limit string) corev1.VolumeSource {
	source := &corev1.EmptyDirVolumeSource{Medium: medium}
	if limit != "" {
		q := resource.MustParse(limit)
		source.SizeLimit = &q
	}
	return corev1.VolumeSource{EmptyDir: source}
}

// amounts reads pairs such as "cpu", "250m".
func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i+1 < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

// service selects pods by the label app, and forwards port 80 to the probe.
func service(name, app string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": app},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
}

func (s *space) expose(svc *corev1.Service) *corev1.Service {
	s.Helper()
	created, err := s.client.CoreV1().Services(s.name).Create(s.ctx, svc, metav1.CreateOptions{})
	s.must(err)
	return created
}

// node is the only node that runs pods; a case may make another in name only.
func (s *space) node() *corev1.Node {
	s.Helper()
	list, err := s.client.CoreV1().Nodes().List(s.ctx, metav1.ListOptions{LabelSelector: "tatami.dev/node-kind=real"})
	s.must(err)
	if len(list.Items) != 1 {
		s.Fatalf("%d real nodes, want 1", len(list.Items))
	}
	return &list.Items[0]
}

func (s *space) nodeIP() string {
	s.Helper()
	for _, a := range s.node().Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	s.Fatal("the node has no address")
	return ""
}
