package kube

import (
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/control"
)

func TestRefusals(t *testing.T) {
	web := func(namespace, spec string) string {
		return "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: " + namespace + "}, spec: {" + spec +
			"template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, image: b, ports: [{containerPort: 80}]}]}}}}"
	}
	for _, tc := range []struct{ name, text, want string }{
		{"unknown operator", aPod + "\n---\n{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: spot}, spec: {template: {spec: {requirements: [{key: a, operator: Near, values: [b]}]}}}}", "NodePool/spot"},
		{"words for a number", web("shop", `replicas: "two", `), `spec.replicas: "two" is not a whole number`},
		{"words in a list", strings.Replace(web("shop", ""), "80", "http", 1), `containerPort: "http" is not a whole number`},
		{"other namespace", web("a", "") + "\n---\n" + web("b", ""), "nothing in namespace nope (2 workloads elsewhere)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := write(t, map[string]string{"all.yaml": tc.text})
			from := control.Sources{Paths: []string{dir + "/all.yaml"}}
			if strings.Contains(tc.want, "nope") {
				from.Namespace = "nope"
			}
			_, err := read(t, from)
			if err == nil || !strings.Contains(err.Error(), tc.want) || control.NextStep(err) == "" {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}

func TestNotesOfOthersAreLeftOut(t *testing.T) {
	cron := func(namespace string) string {
		return "{apiVersion: batch/v1, kind: CronJob, metadata: {name: c, namespace: " + namespace +
			"}, spec: {schedule: '* * * * *', jobTemplate: {spec: {template: {metadata: {labels: {of: " + namespace + "}}, spec: {containers: [{name: a}]}}}}}}"
	}
	service := "\n---\n{apiVersion: v1, kind: Service, metadata: {name: s, namespace: b}, spec: {type: LoadBalancer}}"
	dir := write(t, map[string]string{"all.yaml": cron("a") + "\n---\n" + cron("b") + service})
	for _, from := range []control.Sources{{Namespace: "a"}, {Selector: "of=a"}} {
		from.Paths = []string{dir + "/all.yaml"}
		d, err := read(t, from)
		if err != nil {
			t.Fatal(err)
		}
		if !covered(d, "CronJob/a/c") || covered(d, "CronJob/b/c") || from.Namespace != "" && covered(d, "Service") {
			t.Errorf("%+v: %+v", from, d.NotCovered)
		}
	}
}

func TestRepeatedObject(t *testing.T) {
	pool := func(weight string) string {
		return "{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: spot}, spec: {weight: " + weight + "}}"
	}
	dir := write(t, map[string]string{"a.yaml": aPod, "b.yaml": pool("1"), "c.yaml": pool("2"), "d.yaml": aPod})
	d, err := read(t, control.Sources{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Snapshot.Pools) != 1 || d.Snapshot.Pools[0].Weight != 2 || d.Snapshot.Demand[0].Count != 1 {
		t.Errorf("%+v, %+v", d.Snapshot.Pools, d.Snapshot.Demand)
	}
	if !covered(d, "NodePool/spot", "c.yaml", "counts", "b.yaml") || covered(d, "Pod/default/p", "more than once") {
		t.Errorf("%+v", d.NotCovered)
	}
}
