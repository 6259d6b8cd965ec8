package evloop_test

import (
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tatami-platform/tatami/internal/proxy/evloop"
	"github.com/tatami-platform/tatami/internal/proxy/evloop/evlooptest"
)

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestAcceptOutOfDescriptors: a listener that cannot accept must neither spin nor
// stay deaf.
func TestAcceptOutOfDescriptors(t *testing.T) {
	for loops, kind := range evlooptest.Kinds() {
		t.Run(loops, func(t *testing.T) {
			evlooptest.Leaks(t)
			l := evlooptest.Loop(t, kind)
			ln := evlooptest.Listen(t, "tcp")
			accepted := make(chan bool, 1)
			listenOn(t, l, ln, func(c evloop.Conn) { c.Close(); accepted <- true })

			var before unix.Rlimit
			if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
				t.Fatal(err)
			}
			next, err := os.Open("/dev/null")
			if err != nil {
				t.Fatal(err)
			}
			limit := uint64(next.Fd()) + 1 // room for the client's end alone
			_ = next.Close()
			tight := before
			tight.Cur = limit
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &tight); err != nil {
				t.Fatal(err)
			}
			c, dialErr := net.Dial("tcp", ln.Addr().String())
			begun := cpuTime(t)
			time.Sleep(300 * time.Millisecond)
			spent := cpuTime(t) - begun
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
				t.Fatal(err)
			}
			if dialErr != nil {
				t.Fatal(dialErr)
			}
			defer func() { _ = c.Close() }()
			if len(accepted) > 0 {
				t.Error("accepted without a descriptor: the test proves nothing")
			}
			if spent > 100*time.Millisecond {
				t.Errorf("spent %v of 300 ms", spent)
			}
			evlooptest.Wait(t, "the connection to be accepted", accepted)
		})
	}
}

// TestStopTwice: a wake-up after Run has returned must not go to a descriptor that
// is another's by now.
func TestStopTwice(t *testing.T) {
	l, err := evloop.New(0, evloop.Native)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- l.Run() }()
	time.Sleep(20 * time.Millisecond) // it waits, and takes the wake-up of Stop
	l.Stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var heirs []int
	for range 8 {
		fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		heirs = append(heirs, fd)
	}
	l.Stop()
	for _, fd := range heirs {
		var count [8]byte
		if n, err := unix.Read(fd, count[:]); n > 0 {
			t.Errorf("%d was woken: %v, %v", fd, count, err)
		}
		_ = unix.Close(fd)
	}
}
