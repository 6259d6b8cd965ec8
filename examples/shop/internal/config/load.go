package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// prefix marks the shop's variables.
const prefix = "SHOP_"

// LoadWeb reads the configuration of web from KEY=value pairs.
func LoadWeb(environ []string) (Web, error) { return read(environ, web) }

// LoadCatalog reads the configuration of catalog.
func LoadCatalog(environ []string) (Catalog, error) { return read(environ, catalog) }

// LoadCart reads the configuration of cart.
func LoadCart(environ []string) (Cart, error) { return read(environ, cart) }

// LoadCheckout reads the configuration of checkout.
func LoadCheckout(environ []string) (Checkout, error) { return read(environ, checkout) }

// LoadWorker reads the configuration of worker.
func LoadWorker(environ []string) (Worker, error) { return read(environ, worker) }

// LoadQueue reads the configuration of queue.
func LoadQueue(environ []string) (Queue, error) { return read(environ, queue) }

// LoadLoad reads the configuration of load.
func LoadLoad(environ []string) (Load, error) { return read(environ, load) }

func read[T any](environ []string, role func(*reader) T) (T, error) {
	r := newReader(environ)
	config := role(r)
	r.refuseUnknown()
	if len(r.problems) > 0 {
		var none T
		return none, fmt.Errorf("configuration: %w", errors.Join(r.problems...))
	}
	return config, nil
}

// settings lists, by role, what a role reads, with defaults.
func settings() map[string][]setting {
	all := map[string]func(*reader){
		"web":      func(r *reader) { web(r) },
		"catalog":  func(r *reader) { catalog(r) },
		"cart":     func(r *reader) { cart(r) },
		"checkout": func(r *reader) { checkout(r) },
		"worker":   func(r *reader) { worker(r) },
		"queue":    func(r *reader) { queue(r) },
		"load":     func(r *reader) { load(r) },
	}
	out := make(map[string][]setting, len(all))
	for role, fill := range all {
		r := newReader(nil)
		fill(r)
		out[role] = r.read
	}
	return out
}

// refuseUnknown reports variables that no role reads: a misspelt name would
// otherwise silently leave the default. Names of other roles are fine, so that
// one environment can serve all.
func (r *reader) refuseUnknown() {
	var known []string
	for _, read := range settings() {
		for _, s := range read {
			known = append(known, s.name)
		}
	}
	for name, value := range r.environ {
		if strings.HasPrefix(name, prefix) && !slices.Contains(known, name) {
			r.fail(name, value, "no such setting; the README lists them")
		}
	}
	// Maps have no order; people like the same message twice.
	slices.SortFunc(r.problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
}
