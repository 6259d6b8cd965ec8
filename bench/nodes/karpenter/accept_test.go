package karpenter

import (
	"strings"
	"testing"

	"github.com/tatami-platform/tatami/internal/core/nodes/nodestest"
)

// TestRefusedAcceptsKarpenter holds that Karpenter would add pods where it did.
func TestRefusedAcceptsKarpenter(t *testing.T) {
	for _, kind := range []nodestest.Constraint{nodestest.Generic, nodestest.ZoneAffinity, nodestest.HostnameAntiAffinity} {
		t.Run(string(kind), func(t *testing.T) {
			s := nodestest.Snapshot(nodestest.Only(kind, 60, 1), nodestest.Market{})
			a, err := Schedule(t.Context(), s, Settings{})
			if err != nil {
				t.Fatal(err)
			}
			refused, err := Refused(t.Context(), s, a.Fleet)
			if err != nil || len(refused) > 0 {
				t.Errorf("%v; refused: %q", err, refused)
			}
		})
	}
}

// TestRefused holds that broken fleets are found.
func TestRefused(t *testing.T) {
	for _, kind := range nodestest.Constraints() {
		t.Run(string(kind), func(t *testing.T) {
			s := nodestest.Snapshot(nodestest.Only(kind, 30, 1), nodestest.Market{})
			a, err := Schedule(t.Context(), s, Settings{})
			if err != nil {
				t.Fatal(err)
			}
			all := a.Fleet.Purchases[0]
			all.Pods = nil
			for _, p := range a.Fleet.Purchases {
				all.Pods = append(all.Pods, p.Pods...)
			}
			for _, o := range s.Offers { // all pods on one small machine
				if o.Shape.VCPU < all.Offering.Shape.VCPU {
					all.Offering = o
				}
			}
			a.Fleet.Purchases = a.Fleet.Purchases[:1]
			a.Fleet.Purchases[0] = all
			refused, err := Refused(t.Context(), s, a.Fleet)
			if err != nil || len(refused) == 0 || !strings.Contains(refused[0], "purchase 0") {
				t.Errorf("%v; refused: %q", err, refused)
			}
		})
	}
}
