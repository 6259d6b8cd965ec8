package config

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tatami-platform/tatami/internal/core/connect"
	"github.com/tatami-platform/tatami/internal/proxy/config/wire"
)

// DefaultInterval is how often files are looked at.
const DefaultInterval = 250 * time.Millisecond

// WatchOptions say what is watched and who is told.
type WatchOptions struct {
	// Path is a file or a folder.
	Path string
	// Node is who we are where the files do not say it.
	Node connect.Node
	// Interval is DefaultInterval when 0.
	Interval time.Duration
	// Reload makes the files be read at once; the caller sends SIGHUP here. nil: never.
	Reload <-chan os.Signal
	// Report is told why a change was refused, once per content. nil: nobody.
	Report func(error)
}

// Watch applies the configuration at a path, and again whenever it or a file of
// certificates that it names changes. It returns when the context ends, without an
// error, or at once if the first configuration is refused. A file that cannot be
// read or is wrong later leaves the old configuration in use.
func Watch(ctx context.Context, o WatchOptions, apply Apply) error {
	w := &watcher{options: o, state: NewState(o.Node, apply)}
	if err := w.read(); err != nil {
		return err
	}
	w.run(ctx)
	return nil
}

// Hold applies a configuration and watches the files of certificates that it
// names. It returns as Watch does.
func Hold(ctx context.Context, c *connect.Config, o WatchOptions, apply Apply) error {
	w := &watcher{options: o, state: NewState(c.Node, apply)}
	version := c.Version
	if version == "" {
		version = "flags"
	}
	if err := w.state.Offer(Change{Version: version, All: true, Upserts: wire.Encode(c)}); err != nil {
		return err
	}
	w.run(ctx)
	return nil
}

// watcher is one Watch or Hold.
type watcher struct {
	options WatchOptions
	state   *State
	look    look
	seen    [sha256.Size]byte // what was read last, applied or refused
	waiting *waiting
}

// waiting is a document that was refused and names files of certificates: they may
// come or be put right later than the configuration.
type waiting struct {
	doc  *document
	look look
	told string
}

func (w *watcher) run(ctx context.Context) {
	interval := w.options.Interval
	if interval <= 0 {
		interval = DefaultInterval
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	reload := w.options.Reload
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-reload:
			if !open {
				reload = nil
				continue
			}
			w.seen = [sha256.Size]byte{} // Whoever asks wants to hear what is wrong.
			w.report(w.read())
		case <-ticker.C:
			w.tick()
		}
	}
}

func (w *watcher) tick() {
	if w.options.Path != "" && w.look.poll(w.paths()) {
		w.report(w.read())
	}
	w.report(w.state.Refresh())
	w.report(w.retry())
}

func (w *watcher) report(err error) {
	if err != nil && w.options.Report != nil {
		w.options.Report(err)
	}
}

// paths is what is looked at: of a folder its files and itself, of a ConfigMap the
// link that is swapped as well.
func (w *watcher) paths() []string {
	paths, err := listFiles(w.options.Path)
	if err != nil {
		return []string{w.options.Path}
	}
	return append(paths, w.options.Path, filepath.Join(w.options.Path, "..data"))
}

// read reads, checks and applies the files. What was read before is nothing new,
// and neither is an error that was told before.
func (w *watcher) read() error {
	if w.options.Path == "" {
		return nil
	}
	w.look.last = take(w.paths())
	files, err := listFiles(w.options.Path)
	var raw []rawFile
	var version string
	if err == nil {
		raw, version, err = readFiles(files)
	}
	// Somebody may write at this moment; it is read again then. The first time
	// nobody waits for that.
	if !w.look.settled() && w.state.Config() != nil {
		return nil
	}
	sum := sha256.Sum256([]byte(version))
	if err != nil {
		sum = sha256.Sum256([]byte(err.Error()))
	}
	if sum == w.seen {
		return nil
	}
	w.seen, w.waiting = sum, nil
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	doc, err := parse(raw, version)
	if err != nil {
		return err
	}
	paths := doc.certificateFiles()
	before := take(paths)
	err = doc.offer(w.state)
	if err != nil && len(paths) > 0 {
		w.waiting = &waiting{doc: doc, look: look{last: before, read: before, readAt: time.Now()}, told: err.Error()}
	}
	return err
}

// retry offers a refused document again when files that it names changed.
func (w *watcher) retry() error {
	if w.waiting == nil || !w.waiting.look.poll(w.waiting.doc.certificateFiles()) {
		return nil
	}
	err := w.waiting.doc.offer(w.state)
	w.waiting.look.settled()
	switch {
	case err == nil:
		w.waiting = nil
		return nil
	case err.Error() == w.waiting.told:
		return nil
	}
	w.waiting.told = err.Error()
	return err
}

// certificateFiles are the files that a document names.
func (d *document) certificateFiles() []string {
	return fileResources{}.with(Change{All: true, Upserts: d.resources}).paths()
}
