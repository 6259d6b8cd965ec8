package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestWorkloads(t *testing.T) {
	runCases(t, []testCase{
		{"Job", job},
		{"Job that fails", jobFails},
		{"indexed Job", indexedJob},
		{"CronJob", cronJob},
		{"Deployment", deployment},
		{"DaemonSet", daemonSet},
		{"StatefulSet", statefulSet},
		{"StatefulSet keeps names", statefulSetIdentity},
	})
}

// template makes a pod into the template of a controller.
func template(p *corev1.Pod) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: p.Labels}, Spec: p.Spec}
}

func selects(app string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
}

func (s *space) pods(app string) []corev1.Pod {
	s.Helper()
	list, err := s.client.CoreV1().Pods(s.name).List(s.ctx, metav1.ListOptions{LabelSelector: "app=" + app})
	s.must(err)
	return list.Items
}

func (s *space) runJob(name string, spec batchv1.JobSpec, end batchv1.JobConditionType) *batchv1.Job {
	s.Helper()
	_, err := s.client.BatchV1().Jobs(s.name).Create(s.ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
	s.must(err)
	var j *batchv1.Job
	s.eventually("job "+name+" should end as "+string(end), func() (err error) {
		j, err = s.client.BatchV1().Jobs(s.name).Get(s.ctx, name, metav1.GetOptions{})
		if err == nil && !slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool {
			return c.Type == end && c.Status == corev1.ConditionTrue
		}) {
			err = fmt.Errorf("%d succeeded, %d failed", j.Status.Succeeded, j.Status.Failed)
		}
		return err
	})
	return j
}

// Upstream: "Job should run a job to completion when tasks succeed".
func job(s *space) {
	j := s.runJob("work", batchv1.JobSpec{Completions: new(int32(3)), Parallelism: new(int32(2)), Template: template(once("work", "say", "done", "", "0"))}, batchv1.JobComplete)
	s.equal("succeeded", j.Status.Succeeded, int32(3))
	s.equal("pods", len(s.pods("work")), 3)
}

// Upstream: "Job should fail to exceed backoffLimit".
func jobFails(s *space) {
	j := s.runJob("work", batchv1.JobSpec{BackoffLimit: new(int32(0)), Template: template(once("work", "exit", "1"))}, batchv1.JobFailed)
	s.equal("failed", j.Status.Failed, int32(1))
}

// Upstream: "Job should create pods for an Indexed job with completion indexes
// and specified hostname".
func indexedJob(s *space) {
	p := once("work", "say", "$(JOB_COMPLETION_INDEX)", "", "0")
	j := s.runJob("work", batchv1.JobSpec{
		Completions: new(int32(2)), Parallelism: new(int32(2)), CompletionMode: new(batchv1.IndexedCompletion), Template: template(p),
	}, batchv1.JobComplete)
	s.equal("indexes", j.Status.CompletedIndexes, "0,1")
	var logs []string
	for _, p := range s.pods("work") {
		logs = append(logs, strings.TrimSpace(s.logs(p.Name, corev1.PodLogOptions{})))
	}
	slices.Sort(logs)
	s.equal("logs", strings.Join(logs, " "), "0 1")
}

// Upstream: "CronJob should schedule multiple jobs concurrently", reduced to one,
// and "should not schedule jobs when suspended".
func cronJob(s *space) {
	spec := batchv1.CronJobSpec{Schedule: "* * * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template(once("tick", "exit", "0"))}}}
	suspended := spec
	suspended.Suspend = new(true)
	for name, spec := range map[string]batchv1.CronJobSpec{"tick": spec, "never": suspended} {
		_, err := s.client.BatchV1().CronJobs(s.name).Create(s.ctx, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
		s.must(err)
	}
	s.within(longPatience, "a job at the next minute", func() error {
		jobs, err := s.client.BatchV1().Jobs(s.name).List(s.ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, j := range jobs.Items {
			if strings.HasPrefix(j.Name, "never-") {
				s.Errorf("a suspended CronJob made %s", j.Name)
			}
			if j.Status.Succeeded == 1 {
				return nil
			}
		}
		return fmt.Errorf("%d jobs", len(jobs.Items))
	})
}

// Upstream: "Deployment RollingUpdateDeployment should delete old pods and create
// new ones", "deployment should support rollover", garbage collection.
func deployment(s *space) {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(2)), Selector: selects("web"), Template: template(podOf("web"))},
	}
	api := s.client.AppsV1().Deployments(s.name)
	_, err := api.Create(s.ctx, d, metav1.CreateOptions{})
	s.must(err)
	rolled := func() error {
		d, err := api.Get(s.ctx, "web", metav1.GetOptions{})
		if err == nil && (d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas != 2 || d.Status.Replicas != 2 || d.Status.AvailableReplicas != 2) {
			err = fmt.Errorf("%d updated, %d of %d available", d.Status.UpdatedReplicas, d.Status.AvailableReplicas, d.Status.Replicas)
		}
		return err
	}
	s.eventually("the deployment", rolled)
	_, err = api.Patch(s.ctx, "web", types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"VERSION","value":"2"}]}]}}}}`), metav1.PatchOptions{})
	s.must(err)
	s.eventually("the new version", rolled)
	for _, p := range s.pods("web") {
		if p.DeletionTimestamp == nil {
			s.equal("version of "+p.Name, s.tell(p.Name, "env", "name", "VERSION"), "2")
		}
	}
	s.must(api.Delete(s.ctx, "web", metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}))
	s.eventually("its pods should go with it", func() error {
		if n := len(s.pods("web")); n > 0 {
			return fmt.Errorf("%d pods", n)
		}
		return nil
	})
}

// Upstream: "Daemon set should run and stop simple daemon", "should retry
// creating failed daemon pods", "should update pod when spec was updated".
func daemonSet(s *space) {
	api := s.client.AppsV1().DaemonSets(s.name)
	_, err := api.Create(s.ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "agent"},
		// Another test makes a node that runs nothing.
		Spec: appsv1.DaemonSetSpec{Selector: selects("agent"), Template: template(with(podOf("agent"), func(p *corev1.Pod, _ *corev1.Container) {
			p.Spec.NodeSelector = map[string]string{"tatami.dev/node-kind": "real"}
		}))},
	}, metav1.CreateOptions{})
	s.must(err)
	current := func() (*corev1.Pod, error) {
		live := slices.DeleteFunc(s.pods("agent"), func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
		if len(live) != 1 || !ready(&live[0]) {
			return nil, fmt.Errorf("%d pods", len(live))
		}
		return &live[0], nil
	}
	var first *corev1.Pod
	s.eventually("one pod", func() (err error) { first, err = current(); return err })
	_, err = api.Patch(s.ctx, "agent", types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"VERSION","value":"2"}]}]}}}}`), metav1.PatchOptions{})
	s.must(err)
	s.eventually("the new version", func() error {
		p, err := current()
		if err == nil && p.UID == first.UID {
			err = errors.New("still the old pod")
		}
		return err
	})
}

func (s *space) statefulSet(name string, replicas int32) {
	s.Helper()
	svc := service(name, name)
	svc.Spec.ClusterIP = corev1.ClusterIPNone
	s.expose(svc)
	p := with(podOf(name), func(_ *corev1.Pod, c *corev1.Container) {
		c.ReadinessProbe = httpProbe()
		c.Env = env("START_DELAY", "1")
	})
	_, err := s.client.AppsV1().StatefulSets(s.name).Create(s.ctx, &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.StatefulSetSpec{ServiceName: name, Replicas: &replicas, Selector: selects(name), Template: template(p)},
	}, metav1.CreateOptions{})
	s.must(err)
}

// Upstream: "StatefulSet Scaling should happen in predictable order and halt if
// any stateful pod is unhealthy".
func statefulSet(s *space) {
	s.statefulSet("db", 3)
	s.eventually("the last member", func() error {
		p, err := s.client.CoreV1().Pods(s.name).Get(s.ctx, "db-2", metav1.GetOptions{})
		if err == nil && !ready(p) {
			err = errors.New("not ready")
		}
		return err
	})
	for i := range 2 {
		older, younger := s.pod(fmt.Sprintf("db-%d", i)), s.pod(fmt.Sprintf("db-%d", i+1))
		for _, c := range older.Status.Conditions {
			if c.Type == corev1.PodReady && younger.CreationTimestamp.Before(&c.LastTransitionTime) {
				s.Errorf("%s was made before %s was ready", younger.Name, older.Name)
			}
		}
	}
	for i := range 3 {
		member := fmt.Sprintf("db-%d", i)
		s.eventually("the name of "+member, func() error {
			got, err := s.fetchFrom("db-0", "http://"+member+".db."+s.name+".svc.cluster.local:8080/hostname")
			if err == nil && got != member {
				err = fmt.Errorf("%q answered", got)
			}
			return err
		})
	}
	_, err := s.client.AppsV1().StatefulSets(s.name).Patch(s.ctx, "db", types.MergePatchType, []byte(`{"spec":{"replicas":1}}`), metav1.PatchOptions{})
	s.must(err)
	s.waitGone("db-1")
	if _, err := s.client.CoreV1().Pods(s.name).Get(s.ctx, "db-2", metav1.GetOptions{}); err == nil {
		s.Error("db-1 went before db-2")
	}
}

// Upstream: "StatefulSet Should recreate evicted statefulset": the name stays,
// and leads to the new pod.
func statefulSetIdentity(s *space) {
	s.statefulSet("db", 1)
	var old *corev1.Pod
	s.eventually("the member", func() (err error) {
		old, err = s.client.CoreV1().Pods(s.name).Get(s.ctx, "db-0", metav1.GetOptions{})
		if err == nil && !ready(old) {
			err = errors.New("not ready")
		}
		return err
	})
	s.startReady(podOf("client"))
	s.remove("db-0")
	var renewed *corev1.Pod
	s.eventually("a new pod of the same name", func() (err error) {
		renewed, err = s.client.CoreV1().Pods(s.name).Get(s.ctx, "db-0", metav1.GetOptions{})
		if err == nil && (renewed.UID == old.UID || !ready(renewed)) {
			err = errors.New("not yet")
		}
		return err
	})
	s.eventually("the name should lead to it", func() error {
		got, err := s.ask("client", "resolve", "name", "db-0.db")
		if err == nil && got != renewed.Status.PodIP {
			err = fmt.Errorf("it leads to %s", got)
		}
		return err
	})
}
