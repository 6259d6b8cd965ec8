package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tatami-platform/tatami/internal/control"
)

// The output forms.
const (
	formTable = "table"
	formJSON  = "json"
	formShort = "short"
)

// choice is a flag that takes one of a few words.
type choice struct {
	value   string
	allowed []string
}

// String, Set and Type are pflag.Value.
func (c *choice) String() string { return c.value }

// Set refuses all but the allowed words.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.allowed, s) {
		last := len(c.allowed) - 1
		return fmt.Errorf("it must be %s or %s", strings.Join(c.allowed[:last], ", "), c.allowed[last])
	}
	c.value = s
	return nil
}

// Type is shown as the value in the help text.
func (c *choice) Type() string { return strings.Join(c.allowed, "|") }

// port is a flag for a TCP port; unset it is 0.
type port int

// String is empty while unset.
func (p *port) String() string {
	if *p == 0 {
		return ""
	}
	return strconv.Itoa(int(*p))
}

// Set refuses what is no port that one can connect to.
func (p *port) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 65535 {
		return errors.New("it must be a number from 1 to 65535")
	}
	*p = port(n)
	return nil
}

// Type is shown as the value in the help text.
func (p *port) Type() string { return "PORT" }

// maxName keeps the names of interfaces, cgroups and sockets that are made of
// it within the limits of the kernel.
const maxName = 20

// name is a flag for the name of a cluster.
type name string

// String is the value.
func (n *name) String() string { return string(*n) }

// Set refuses what is no DNS label, or too long.
func (n *name) Set(s string) error {
	if len(s) == 0 || len(s) > maxName || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
		strings.HasPrefix(s, "-") || strings.HasSuffix(s, "-") {
		return fmt.Errorf("it must be 1 to %d lower-case letters, digits or '-', and not begin or end with '-'", maxName)
	}
	*n = name(s)
	return nil
}

// Type is shown as the value in the help text.
func (n *name) Type() string { return "NAME" }

// positive is a flag for a duration above zero.
type positive time.Duration

// String is the duration as Go writes it, but 5m for 5m0s.
func (p *positive) String() string {
	text := time.Duration(*p).String()
	if strings.HasSuffix(text, "m0s") {
		return strings.TrimSuffix(text, "0s")
	}
	return text
}

// Set refuses zero and less.
func (p *positive) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return errors.New("it must be a time such as 90s or 5m")
	}
	*p = positive(d)
	return nil
}

// Type is shown as the value in the help text.
func (p *positive) Type() string { return "DURATION" }

// clusterFlags say which cluster a verb is for.
type clusterFlags struct {
	name    name
	dataDir string
}

const defaultName = "tatami"

func (c *clusterFlags) add(cmd *cobra.Command) {
	c.name = defaultName
	cmd.Flags().Var(&c.name, "name", "name of the cluster; several can run side by side")
	cmd.Flags().StringVar(&c.dataDir, "data-dir", "", "keep the cluster's data in `FOLDER` (default: one for the name and user)")
	complete(cmd, "name", nil)
	must(cmd.MarkFlagDirname("data-dir"))
}

// ref makes the path absolute: the cluster outlives this working folder.
func (c *clusterFlags) ref() (control.Ref, error) {
	ref := control.Ref{Name: string(c.name)}
	if c.dataDir == "" {
		return ref, nil
	}
	dir, err := filepath.Abs(c.dataDir)
	if err != nil {
		return ref, fmt.Errorf("--data-dir: %w", err)
	}
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return ref, fmt.Errorf("--data-dir: %s is a file, not a folder", dir)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return ref, fmt.Errorf("--data-dir: %w", err)
	}
	ref.DataDir = dir
	return ref, nil
}

// kubeconfigPath makes a --kubeconfig absolute and refuses a folder.
func kubeconfigPath(flag string) (string, error) {
	if flag == "" {
		return "", nil
	}
	path, err := filepath.Abs(flag)
	if err != nil {
		return "", fmt.Errorf("--kubeconfig: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return "", fmt.Errorf("--kubeconfig: %s is a folder, not a file", path)
	}
	return path, nil
}

func addKubeconfig(cmd *cobra.Command, value *string, what string) {
	cmd.Flags().StringVar(value, "kubeconfig", "", what+" `FILE` (default: as kubectl, $KUBECONFIG or ~/.kube/config)")
}

func addOutput(cmd *cobra.Command, allowed ...string) *choice {
	c := &choice{value: formTable, allowed: allowed}
	cmd.Flags().VarP(c, "output", "o", "output form")
	complete(cmd, "output", allowed)
	return c
}

// complete offers words for a flag, or nothing rather than file names.
func complete(cmd *cobra.Command, flag string, words []string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
}

// must guards calls that fail only when a flag named in this package is absent.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
