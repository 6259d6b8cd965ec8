package target

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name, json, wantErr string
	}{
		{
			name: "ready with a real node",
			json: `{"ready": true, "context": "tatami", "kubeconfig": "/k", "kubernetes": {"version": "v1.37.2"},
				"nodes": [{"name": "sim", "kind": "simulated", "ready": true}, {"name": "a", "kind": "real", "ready": true}]}`,
		},
		{name: "stopped", json: `{"name": "tatami", "state": "stopped"}`, wantErr: "run tatami up"},
		{name: "only simulated nodes", json: `{"ready": true, "nodes": [{"kind": "simulated", "ready": true}]}`, wantErr: "no real node"},
		{name: "real node not ready", json: `{"ready": true, "nodes": [{"kind": "real"}]}`, wantErr: "no real node"},
		{name: "not JSON", json: "NAME  READY\n", wantErr: "tatami status -o json"},
		{name: "empty", json: "", wantErr: "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(strings.NewReader(tt.json))
			if tt.wantErr == "" {
				if want := (Target{Kubeconfig: "/k", Context: "tatami", Kubernetes: "v1.37.2"}); err != nil || got != want {
					t.Errorf("Read = %+v, %v; want %+v", got, err, want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error = %v, want one with %q", err, tt.wantErr)
			}
		})
	}
}
