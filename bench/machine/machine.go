package machine

import (
	"bufio"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what a reader needs to judge a figure.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	// CPU is the model name, e.g. "AMD EPYC".
	CPU         string `json:"cpu,omitempty"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memoryBytes,omitempty"`
	// Kernel is the release, e.g. "6.1.0-18-amd64".
	Kernel string `json:"kernel,omitempty"`
	Go     string `json:"go"`
}

// Here describes the machine that the program runs on.
func Here() Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		m.CPU = field(f, "model name")
		_ = f.Close()
	}
	if f, err := os.Open("/proc/meminfo"); err == nil {
		m.MemoryBytes = kibibytes(field(f, "MemTotal"))
		_ = f.Close()
	}
	return m
}

// field returns the value of the first "name: value" line, or "".
func field(r io.Reader, name string) string {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		key, value, found := strings.Cut(lines.Text(), ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// kibibytes reads "16384 kB" as bytes; the kernel means 1,024 by kB.
func kibibytes(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}
