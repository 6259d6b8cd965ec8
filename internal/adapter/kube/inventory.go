package kube

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"

	"github.com/tatami-platform/tatami/internal/adapter/kube/manifest"
	"github.com/tatami-platform/tatami/internal/control"
	"github.com/tatami-platform/tatami/internal/core/workload"
)

// inventory holds objects by kind: most of them mean something only together
// with others.
type inventory struct {
	// namespace of objects that name none.
	namespace string
	// lenient leaves fields alone that are not known: a cluster has accepted them.
	lenient bool

	templates []*template
	present   map[workload.Ref]*template
	pods      []*corev1.Pod
	scalers   []scaler
	budgets   []*policyv1.PodDisruptionBudget

	namespaces map[string]map[string]string // labels by name
	priorities map[string]*schedulingv1.PriorityClass
	runtimes   map[string]*nodev1.RuntimeClass
	limits     map[string][]*corev1.LimitRange // by namespace
	claims     map[string]*corev1.PersistentVolumeClaim
	volumes    map[string]*corev1.PersistentVolume
	classes    map[string]*storagev1.StorageClass

	nodes       []*corev1.Node
	pools       []*nodePool
	nodeClasses map[string]*nodeClass
	clusters    []*clusterConfig

	notCovered []control.NotCovered
	tally      tally
}

func newInventory(namespace string) *inventory {
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return &inventory{
		namespace:   namespace,
		present:     map[workload.Ref]*template{},
		namespaces:  map[string]map[string]string{},
		priorities:  map[string]*schedulingv1.PriorityClass{},
		runtimes:    map[string]*nodev1.RuntimeClass{},
		limits:      map[string][]*corev1.LimitRange{},
		claims:      map[string]*corev1.PersistentVolumeClaim{},
		volumes:     map[string]*corev1.PersistentVolume{},
		classes:     map[string]*storagev1.StorageClass{},
		nodeClasses: map[string]*nodeClass{},
	}
}

func (inv *inventory) addAll(objects []manifest.Object) error {
	for _, o := range inv.last(objects) {
		if err := inv.add(o); err != nil {
			return err
		}
	}
	return nil
}

// add sorts an object in. An error means that it is broken.
func (inv *inventory) add(o manifest.Object) error {
	group, _, _ := strings.Cut(o.APIVersion, "/")
	if !strings.Contains(o.APIVersion, "/") {
		group = ""
	}
	if found, err := inv.addWorkload(group, o); found || err != nil {
		return err
	}
	if found, err := inv.addRule(group, o); found || err != nil {
		return err
	}
	if found, err := inv.addCapacity(group, o); found || err != nil {
		return err
	}
	return inv.addOther(group, o)
}

// addRule takes objects that say how pods of others are to be understood.
func (inv *inventory) addRule(group string, o manifest.Object) (found bool, err error) {
	switch group + "/" + o.Kind {
	case "/Namespace":
		err = take(inv, o, func(n *corev1.Namespace) { inv.namespaces[n.Name] = n.Labels })
	case "/LimitRange":
		err = take(inv, o, func(l *corev1.LimitRange) { inv.limits[l.Namespace] = append(inv.limits[l.Namespace], l) })
	case "scheduling.k8s.io/PriorityClass":
		err = take(inv, o, func(p *schedulingv1.PriorityClass) { inv.priorities[p.Name] = p })
	case "node.k8s.io/RuntimeClass":
		err = take(inv, o, func(r *nodev1.RuntimeClass) { inv.runtimes[r.Name] = r })
	case "storage.k8s.io/StorageClass":
		err = take(inv, o, func(c *storagev1.StorageClass) { inv.classes[c.Name] = c })
	case "/PersistentVolumeClaim":
		err = take(inv, o, func(c *corev1.PersistentVolumeClaim) {
			inv.claims[c.Namespace+"/"+c.Name] = c
			if inv.tally.wants(c.Namespace) {
				inv.tally.claim(&c.Spec, 1)
			}
		})
	case "/PersistentVolume":
		err = take(inv, o, func(v *corev1.PersistentVolume) { inv.volumes[v.Name] = v })
	case "policy/PodDisruptionBudget":
		err = take(inv, o, func(b *policyv1.PodDisruptionBudget) { inv.budgets = append(inv.budgets, b) })
	case "autoscaling/HorizontalPodAutoscaler":
		err = inv.addAutoscaler(o)
	case "keda.sh/ScaledObject":
		err = inv.addScaledObject(o)
	default:
		return false, nil
	}
	return true, err
}

// addOther takes objects that are no demand themselves.
func (inv *inventory) addOther(group string, o manifest.Object) error {
	switch group + "/" + o.Kind {
	case "/Service":
		return take(inv, o, func(s *corev1.Service) {
			if s.Spec.Type == corev1.ServiceTypeLoadBalancer {
				inv.tally.add("Service", "of type LoadBalancer", inv.ref(o.Kind, s))
			}
		})
	case "networking.k8s.io/Ingress", "gateway.networking.k8s.io/Gateway":
		return loose(inv, o, func(m *metav1.PartialObjectMetadata) {
			inv.tally.add(o.Kind, "each of which may be a load balancer", inv.ref(o.Kind, m))
		})
	}
	if harmless(group, o.Kind) {
		return nil
	}
	return loose(inv, o, func(m *metav1.PartialObjectMetadata) {
		kind := o.Kind
		if group != "" {
			kind += "." + group
		}
		inv.tally.unknown(inv.ref(kind, m))
	})
}

// harmless kinds need no nodes and cost nothing.
func harmless(group, kind string) bool {
	switch group {
	case "rbac.authorization.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io",
		"networking.k8s.io", "gateway.networking.k8s.io", "flowcontrol.apiserver.k8s.io", "certificates.k8s.io",
		"coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "kustomize.config.k8s.io", "metrics.k8s.io":
		return true
	case "":
		switch kind {
		case "ConfigMap", "Secret", "ServiceAccount", "Endpoints", "Event", "ResourceQuota", "PodTemplate", "Binding":
			return true
		}
	case "apps":
		return kind == "ControllerRevision"
	case "storage.k8s.io":
		return true
	}
	return false
}

// take decodes an object strictly, notes fields that its kind does not have,
// and hands it on.
func take[T any, P interface {
	*T
	metav1.Object
}](inv *inventory, o manifest.Object, use func(P)) error {
	if inv.lenient {
		return loose(inv, o, use)
	}
	v := P(new(T))
	unknown, err := kjson.UnmarshalStrict(o.JSON, v, kjson.DisallowUnknownFields)
	if err != nil {
		return broken(o, err)
	}
	inv.complete(o.Kind, v)
	for _, field := range unknown {
		_, path, _ := strings.Cut(field.Error(), " field ")
		inv.note(inv.ref(o.Kind, v), strings.Trim(path, `"`), "the API has no such field")
	}
	use(v)
	return nil
}

// loose is take for kinds of which only a part is read here.
func loose[T any, P interface {
	*T
	metav1.Object
}](inv *inventory, o manifest.Object, use func(P)) error {
	v := P(new(T))
	if err := kjson.UnmarshalCaseSensitivePreserveInts(o.JSON, v); err != nil {
		return broken(o, err)
	}
	inv.complete(o.Kind, v)
	use(v)
	return nil
}

func broken(o manifest.Object, err error) error {
	return &control.Problem{
		What: "cannot read the " + o.Kind + " in " + o.At,
		Why:  inWords(o.JSON, err),
		Next: "correct the field; `kubectl apply --dry-run=server` says what a cluster makes of it",
	}
}

// complete gives an object of a namespace its namespace.
func (inv *inventory) complete(kind string, o metav1.Object) {
	if o.GetNamespace() == "" && namespaced(kind) {
		o.SetNamespace(inv.namespace)
	}
}

func namespaced(kind string) bool {
	switch kind {
	case "Namespace", "Node", "PersistentVolume", "StorageClass", "PriorityClass", "RuntimeClass", "NodePool", "EC2NodeClass", "ClusterConfig":
		return false
	}
	return true
}

func (*inventory) ref(kind string, o metav1.Object) workload.Ref {
	return workload.Ref{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

func (inv *inventory) note(ref workload.Ref, field, why string) {
	inv.notCovered = append(inv.notCovered, control.NotCovered{Object: ref, Field: field, Why: why})
}

// template is what a controller makes pods from.
type template struct {
	ref    workload.Ref
	owners []metav1.OwnerReference
	pod    corev1.PodTemplateSpec
	count  int
	batch  bool
	daemon bool
	claims []corev1.PersistentVolumeClaim
}

// known reads the workload of a kind unless the same one was given before: then
// the later one counts, as with kubectl apply.
func (inv *inventory) known(t *template) {
	if old, twice := inv.present[t.ref]; twice {
		inv.note(t.ref, "", "it is given more than once; the last one counts")
		*old = *t
		return
	}
	inv.present[t.ref] = t
	inv.templates = append(inv.templates, t)
}

func (inv *inventory) stateful(s *appsv1.StatefulSet) {
	n := wanted(s.Spec.Replicas)
	inv.known(&template{
		ref: inv.ref("StatefulSet", s), owners: s.OwnerReferences, pod: s.Spec.Template, count: n,
		claims: s.Spec.VolumeClaimTemplates,
	})
}
