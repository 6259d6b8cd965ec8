package peer

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ, 100 on all systems that
// Go runs on.
const tick = 10 * time.Millisecond

// Usage is the processor time of a group at one moment.
type Usage struct {
	// threads have nanoseconds exactly, by "PID/TID", but go when they end.
	threads map[string]time.Duration
	// total is rounded to ticks, but has what ended threads used.
	total time.Duration
}

// Usage reads the processor time of all processes of the group.
func (r *Process) Usage() (Usage, error) {
	pids, err := r.pids()
	if err != nil {
		return Usage{}, err
	}
	u := Usage{threads: map[string]time.Duration{}}
	for _, pid := range pids {
		stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		if err != nil {
			return u, err
		}
		_, _, used := parseStat(string(stat))
		u.total += used
		files, err := filepath.Glob(filepath.Join("/proc", pid, "task", "*", "schedstat"))
		if err != nil {
			return u, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // the thread has just ended
			}
			ran, _, _ := strings.Cut(string(text), " ")
			nanos, err := strconv.ParseInt(ran, 10, 64)
			if err != nil {
				return u, fmt.Errorf("%s: %w", file, err)
			}
			u.threads[pid+file] = time.Duration(nanos)
		}
	}
	return u, nil
}

// Since is the time used between an earlier moment and this one: exact, unless a
// thread has ended in between.
func (u Usage) Since(before Usage) time.Duration {
	var sum time.Duration
	for key, ran := range u.threads {
		sum += ran - before.threads[key]
	}
	for key := range before.threads {
		if _, there := u.threads[key]; !there {
			return u.total - before.total
		}
	}
	return sum
}

// pids of the group, the first process among them.
func (r *Process) pids() ([]string, error) {
	if err := r.Ended(); err != nil {
		return nil, err
	}
	pids, err := groupOf(r.cmd.Process.Pid)
	if err == nil && len(pids) == 0 {
		err = errors.New("no process of the group is there")
	}
	return pids, err
}

// groupOf lists the processes of a group that have not ended.
func groupOf(id int) ([]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has just ended
		}
		state, group, _ := parseStat(string(stat))
		if group == id && state != "Z" {
			pids = append(pids, e.Name())
		}
	}
	return pids, nil
}

// parseStat reads "PID (COMM) STATE PPID PGRP ... utime(14) stime(15)", of which
// COMM may hold brackets and spaces.
func parseStat(stat string) (state string, group int, used time.Duration) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return "", 0, 0
	}
	group, _ = strconv.Atoi(fields[2])
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return fields[0], group, time.Duration(user+system) * tick
}

// Memory is in bytes. RSS counts a page that several processes share for each
// of them, PSS counts it once in all.
type Memory struct {
	RSS int64 `json:"rssBytes"`
	PSS int64 `json:"pssBytes"`
	// Peak is the largest RSS since the start.
	Peak int64 `json:"peakRssBytes"`
}

// Memory reads that of all processes of the group.
func (r *Process) Memory() (Memory, error) {
	var sum Memory
	pids, err := r.pids()
	if err != nil {
		return sum, err
	}
	for _, pid := range pids {
		text, err := os.ReadFile(filepath.Join("/proc", pid, "smaps_rollup"))
		if err != nil {
			return sum, err
		}
		status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
		if err != nil {
			return sum, err
		}
		sum.Peak += kibibytes(string(status), "VmHWM:")
		sum.RSS += kibibytes(string(text), "Rss:")
		sum.PSS += kibibytes(string(text), "Pss:")
	}
	return sum, nil
}

// kibibytes finds "NAME 123 kB"; the kernel means 1,024 by kB.
func kibibytes(text, name string) int64 {
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), name); found {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}
