//go:build linux

package faults

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onDisk gives the cluster a disk of its own of that size, in MiB.
func onDisk(t *testing.T, c *cluster, size int) {
	t.Helper()
	disk := filepath.Join(c.base, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", size)); err != nil {
		t.Skipf("this machine's root may not mount: %v", err)
	}
	c.dir = filepath.Join(disk, "d")
	t.Cleanup(func() {
		c.run("down", "--purge")
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Errorf("clearing up: %v", err)
		}
	})
}

// TestDiskTooSmall refuses a start that would stop in the middle.
func TestDiskTooSmall(t *testing.T) {
	needRoot(t)
	c := newCluster(t, "fs")
	onDisk(t, c, 64)
	c.run("up", "--node", "none").mustSay(t, "is full", "MiB free", "MiB needed", "next:", "--data-dir")
	if pids := c.serverPIDs(); len(pids) > 0 {
		t.Errorf("a server was left: %v", pids)
	}
}

// TestDiskFull fills the disk of a running cluster: it says so, and after space
// was made everything acknowledged is there.
func TestDiskFull(t *testing.T) {
	needRoot(t)
	c := newCluster(t, "fd")
	onDisk(t, c, 700)
	c.run("up", "--node", "none").must(t)
	book := &ledger{acked: map[string]string{}}
	stop := book.inBackground(t, c, 200_000)
	filler := filepath.Join(filepath.Dir(c.dir), "filler")
	eventually(t, 30*time.Second, "the writer has begun", func() error {
		if n := len(book.copy()); n < 10 {
			return fmt.Errorf("%d objects", n)
		}
		return nil
	})
	fill(t, filler)
	waitStuck(t, book)
	stop()
	t.Logf("%d objects were acknowledged; servers left: %v", len(book.copy()), c.serverPIDs())

	const said = "is full"
	if r := c.run("status"); r.code != 1 || !strings.Contains(r.out, said) {
		t.Errorf("status must say that the disk %s\n%s", said, r)
	}
	c.run("up", "--node", "none").mustSay(t, said, "next:", "free some space")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	c.run("up", "--node", "none").must(t)
	c.waitReady(t, 0)
	if n := book.mustHold(t, c); n == 0 {
		t.Error("nothing was acknowledged, which proves nothing")
	}
	if err := book.create(t.Context(), c.mustClient(t), "after", "x"); err != nil {
		t.Errorf("the cluster takes nothing after space was made: %v", err)
	}
}

// fill writes until there is no room.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		_, err := f.Write(block)
		switch {
		case errors.Is(err, syscall.ENOSPC), errors.Is(err, io.ErrShortWrite):
			block = block[:len(block)/2]
		case err != nil:
			t.Fatal(err)
		}
	}
}

// waitStuck waits until nothing has been acknowledged for a while. The store goes
// on for as long as the room that it has set aside lasts.
func waitStuck(t *testing.T, book *ledger) {
	t.Helper()
	last, since := -1, time.Now()
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if n := len(book.copy()); n != last {
			last, since = n, time.Now()
		} else if time.Since(since) > 5*time.Second {
			return
		}
	}
	t.Fatalf("the cluster still takes objects on a full disk: %d", last)
}
