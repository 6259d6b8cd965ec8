package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is one of the platform's own. RSS counts a page that several share
// for each of them, PSS counts it once in all.
type process struct {
	Name string `json:"name"`
	RSS  int64  `json:"rssBytes"`
	PSS  int64  `json:"pssBytes"`
}

// memory is that of all processes of one cluster; pods do not count.
type memory []process

func (m memory) sum(of func(process) int64, name string) int64 {
	var sum int64
	for _, p := range m {
		if name == "" || p.Name == name {
			sum += of(p)
		}
	}
	return sum
}

func rss(p process) int64 { return p.RSS }
func pss(p process) int64 { return p.PSS }

// memoryOf finds the server of a data folder, and below it containerd and its
// shims. What a shim started is a pod.
func memoryOf(dataDir string) (memory, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	for pid, p := range all {
		if len(p.args) == 3 && p.args[1] == "serve-cluster" && p.args[2] == dataDir {
			return collect(pid, "server", all)
		}
	}
	return nil, errors.New("no server process is found: the cluster has ended by itself, or was stopped by somebody")
}

type procInfo struct {
	comm   string
	args   []string
	parent int
}

func processes() (map[int]procInfo, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := map[int]procInfo{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has just ended
		}
		cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		comm, parent := parseStat(string(stat))
		all[pid] = procInfo{comm: comm, parent: parent, args: strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")}
	}
	return all, nil
}

// parseStat reads "PID (COMM) STATE PARENT ..."; the command may hold brackets.
func parseStat(stat string) (comm string, parent int) {
	from, to := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if from < 0 || to < from {
		return "", 0
	}
	if fields := strings.Fields(stat[to+1:]); len(fields) > 1 {
		parent, _ = strconv.Atoi(fields[1])
	}
	return stat[from+1 : to], parent
}

// collect reads a process and the platform's own below it. A shim that outlived
// the call that started it belongs to the server, the first process there.
func collect(pid int, name string, all map[int]procInfo) (memory, error) {
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		return nil, fmt.Errorf("memory of %s: %w", name, err)
	}
	defer f.Close()
	p, err := parseRollup(f)
	if err != nil {
		return nil, fmt.Errorf("memory of %s: %w", name, err)
	}
	p.Name = name
	found := memory{p}
	for child, info := range all {
		var kind string
		switch {
		case info.parent != pid || name == "shim":
			continue
		case strings.HasPrefix(info.comm, "containerd-shim"):
			kind = "shim"
		case info.comm == "containerd":
			kind = "containerd"
		default:
			continue
		}
		below, err := collect(child, kind, all)
		if err != nil {
			return nil, err
		}
		found = append(found, below...)
	}
	return found, nil
}

// parseRollup reads the sums of /proc/PID/smaps_rollup; the kernel means 1,024
// by kB.
func parseRollup(r io.Reader) (process, error) {
	var p process
	text, err := io.ReadAll(r)
	if err != nil {
		return p, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		to := map[string]*int64{"Rss": &p.RSS, "Pss": &p.PSS}[key]
		if to == nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		if err != nil {
			return p, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		*to = n << 10
	}
	if p.RSS == 0 {
		return p, errors.New("no Rss in smaps_rollup")
	}
	return p, nil
}
