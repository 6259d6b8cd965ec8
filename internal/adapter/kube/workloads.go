package kube

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tatami-platform/tatami/internal/adapter/kube/manifest"
)

// addWorkload takes objects that make pods.
func (inv *inventory) addWorkload(group string, o manifest.Object) (found bool, err error) {
	switch group + "/" + o.Kind {
	case "/Pod":
		err = take(inv, o, func(p *corev1.Pod) { inv.pods = append(inv.pods, p) })
	case "/ReplicationController":
		err = take(inv, o, inv.replicationController)
	case "apps/Deployment", "extensions/Deployment":
		err = take(inv, o, func(d *appsv1.Deployment) {
			inv.known(&template{ref: inv.ref(o.Kind, d), owners: d.OwnerReferences, pod: d.Spec.Template, count: wanted(d.Spec.Replicas)})
		})
	case "apps/ReplicaSet":
		err = take(inv, o, func(r *appsv1.ReplicaSet) {
			inv.known(&template{ref: inv.ref(o.Kind, r), owners: r.OwnerReferences, pod: r.Spec.Template, count: wanted(r.Spec.Replicas)})
		})
	case "apps/StatefulSet":
		err = take(inv, o, inv.stateful)
	case "apps/DaemonSet":
		err = take(inv, o, func(d *appsv1.DaemonSet) {
			inv.known(&template{ref: inv.ref(o.Kind, d), owners: d.OwnerReferences, pod: d.Spec.Template, count: 1, daemon: true})
		})
	case "batch/Job":
		err = take(inv, o, inv.job)
	case "batch/CronJob":
		err = take(inv, o, inv.cronJob)
	default:
		return false, nil
	}
	return true, err
}

func (inv *inventory) replicationController(r *corev1.ReplicationController) {
	if r.Spec.Template != nil {
		inv.known(&template{ref: inv.ref("ReplicationController", r), pod: *r.Spec.Template, count: wanted(r.Spec.Replicas)})
	}
}

func (inv *inventory) job(j *batchv1.Job) {
	ref, n := inv.ref("Job", j), concurrent(&j.Spec)
	switch {
	case j.Spec.Suspend != nil && *j.Spec.Suspend:
		n = 0
		inv.note(ref, "spec.suspend", "the job is suspended: its pods are not counted")
	case j.Status.CompletionTime != nil:
		n = 0
	}
	inv.known(&template{ref: ref, owners: j.OwnerReferences, pod: j.Spec.Template, count: n, batch: true})
}

// cronJob counts the pods of one run, as if a run always lasted: nodes must be
// there at the peak, and how long a run takes is not known from a manifest.
func (inv *inventory) cronJob(c *batchv1.CronJob) {
	ref, spec := inv.ref("CronJob", c), &c.Spec.JobTemplate.Spec
	n := concurrent(spec)
	if c.Spec.Suspend != nil && *c.Spec.Suspend {
		n = 0
		inv.note(ref, "spec.suspend", "the cron job is suspended: its pods are not counted")
	} else {
		inv.note(ref, "spec.schedule", "one run is counted as if it never ended: how long runs take, and whether they overlap, is not known")
	}
	inv.known(&template{ref: ref, owners: c.OwnerReferences, pod: spec.Template, count: n, batch: true})
}

// concurrent is how many pods of a job run at a time.
func concurrent(j *batchv1.JobSpec) int {
	n := wanted(j.Parallelism)
	if j.Completions != nil {
		n = min(n, int(*j.Completions))
	}
	return n
}

// wanted is 1 unless something else is given.
func wanted(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}
