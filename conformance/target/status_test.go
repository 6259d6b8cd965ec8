package target

import (
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/control"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name    string
		mode    control.NodeMode
		json    string
		wantErr string
	}{
		{
			name: "ready with a real node", mode: control.NodeReal,
			json: `{"ready": true, "kubeconfig": "/k", "nodes": [{"name": "sim", "kind": "simulated", "ready": true}, {"name": "a", "kind": "real", "ready": true}]}`,
		},
		{name: "ready without a node", mode: control.NodeNone, json: `{"ready": true, "kubeconfig": "/k"}`},
		{name: "stopped", mode: control.NodeNone, json: `{"name": "tatami", "state": "stopped"}`, wantErr: "run tatami up"},
		{name: "only simulated nodes", mode: control.NodeReal, json: `{"ready": true, "nodes": [{"kind": "simulated", "ready": true}]}`, wantErr: "no real node"},
		{name: "real node not ready", mode: control.NodeReal, json: `{"ready": true, "nodes": [{"kind": "real"}]}`, wantErr: "no real node"},
		{name: "not JSON", mode: control.NodeNone, json: "NAME  READY\n", wantErr: "tatami up -o json"},
		{name: "empty", mode: control.NodeNone, json: "", wantErr: "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := read(strings.NewReader(tt.json), tt.mode)
			if tt.wantErr == "" {
				if err != nil || got.Kubeconfig != "/k" {
					t.Errorf("read = %+v, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error = %v, want one with %q", err, tt.wantErr)
			}
		})
	}
}
