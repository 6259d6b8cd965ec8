package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tatami-platform/tatami/internal/control"
)

// printJSON writes value for programs, and for people who look.
func printJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// printStatusJSON keeps empty lists and maps from becoming null.
func printStatusJSON(w io.Writer, s control.Status) error {
	if s.Nodes == nil {
		s.Nodes = []control.Node{}
	}
	if s.Pods == nil {
		s.Pods = map[string]int{}
	}
	if s.URLs == nil {
		s.URLs = map[string]string{}
	}
	return printJSON(w, s)
}

// row is a label and what belongs to it; further lines follow below the first.
type row struct {
	label string
	lines []string
}

// printRows aligns the values of all rows.
func printRows(c Console, rows []row) {
	widest := 0
	for _, r := range rows {
		widest = max(widest, utf8.RuneCountInString(r.label))
	}
	for _, r := range rows {
		label := r.label
		for _, line := range r.lines {
			pad := strings.Repeat(" ", widest-utf8.RuneCountInString(label))
			fmt.Fprintf(c, "  %s%s  %s\n", c.paint(styleFade, label), pad, line)
			label = ""
		}
	}
}

// statusRows are what `up` and `status` both show.
func statusRows(c Console, s control.Status) []row {
	rows := []row{
		{"API", list(s.URLs[urlAPI])},
		{"kubectl", list(kubectlText(s))},
		{"nodes", nodeLines(c, s.Nodes)},
		{"pods", list(podText(c, s.Pods))},
		{"services", serviceLines(s)},
		{"shop", list(shopText(c, s))},
		{"data", list(s.DataDir)},
		{"memory", list(memoryText(s.RSSBytes))},
		{"started", list(startText(s.StartMillis))},
		{"process", list(processText(s.PID))},
	}
	return slices.DeleteFunc(rows, func(r row) bool { return len(r.lines) == 0 })
}

// list is one line, or none when there is nothing to say.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// The names of URLs in a status.
const (
	urlAPI  = "api"
	urlShop = "shop/web"
)

func kubectlText(s control.Status) string {
	if s.Context == "" {
		return ""
	}
	return "context " + s.Context + " in " + s.Kubeconfig
}

func nodeLines(c Console, nodes []control.Node) []string {
	if len(nodes) == 0 {
		return []string{"none: pods stay pending"}
	}
	lines := make([]string, len(nodes))
	for i, n := range nodes {
		state := c.paint(styleGood, "ready")
		if !n.Ready {
			state = c.paint(styleWarn, "not ready")
			if n.Reason != "" {
				state += ": " + n.Reason
			}
		}
		lines[i] = fmt.Sprintf("%s (%s), %s", n.Name, n.Kind, state)
	}
	return lines
}

// podText counts pods, in the order of a pod's life.
func podText(c Console, pods map[string]int) string {
	order := []string{"Pending", "Running", "Succeeded", "Failed", "Unknown"}
	rank := func(phase string) int {
		if i := slices.Index(order, phase); i >= 0 {
			return i
		}
		return len(order)
	}
	phases := slices.SortedFunc(maps.Keys(pods), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for _, phase := range phases {
		text := fmt.Sprintf("%d %s", pods[phase], strings.ToLower(phase))
		switch {
		case pods[phase] == 0:
			continue
		case phase == "Failed" || phase == "Unknown":
			text = c.paint(styleBad, text)
		case phase == "Pending":
			text = c.paint(styleWarn, text)
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// serviceLines are the published services, without those shown elsewhere.
func serviceLines(s control.Status) []string {
	var names []string
	widest := 0
	for name := range s.URLs {
		if name == urlAPI || name == urlShop && s.Shop != nil {
			continue
		}
		names = append(names, name)
		widest = max(widest, len(name))
	}
	slices.Sort(names)
	lines := make([]string, len(names))
	for i, name := range names {
		lines[i] = fmt.Sprintf("%-*s  %s", widest, name, s.URLs[name])
	}
	return lines
}

func shopText(c Console, s control.Status) string {
	if s.Shop == nil {
		return ""
	}
	text := c.paint(styleGood, "ready")
	if !s.Shop.Ready {
		text = c.paint(styleWarn, "not ready")
	}
	text += ", " + thousands(s.Shop.OrdersProcessed) + " orders processed"
	if url := s.URLs[urlShop]; url != "" {
		text = url + "  " + text
	}
	return text
}

func memoryText(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return size(bytes) + " for the platform itself, without the pods"
}

func startText(millis int64) string {
	if millis == 0 {
		return ""
	}
	return "API ready after " + seconds(time.Duration(millis)*time.Millisecond)
}

func processText(pid int) string {
	if pid == 0 {
		return ""
	}
	return strconv.Itoa(pid)
}

// size shows bytes with three figures or so.
func size(bytes int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	value, unit := float64(bytes), 0
	// 1023.5 would be shown as 1024.
	for value >= 1023.5 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	if unit == 0 || value >= 99.95 {
		return fmt.Sprintf("%.0f %s", value, units[unit])
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

// seconds shows tenths below a minute.
func seconds(d time.Duration) string {
	if d < time.Minute-50*time.Millisecond {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return wholeSeconds(d.Round(time.Second))
}

// wholeSeconds does not jump about in a live line.
func wholeSeconds(d time.Duration) string {
	total := int64(d / time.Second)
	if total < 60 {
		return fmt.Sprintf("%ds", total)
	}
	if total < 3600 {
		return fmt.Sprintf("%dm%02ds", total/60, total%60)
	}
	return fmt.Sprintf("%dh%02dm", total/3600, total/60%60)
}

// thousands groups the digits of a count.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
