package cli

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tatami-platform/tatami/internal/core/catalog"
)

// addFilter adds flags for the attributes, named after those of EC2's
// InstanceRequirements.
func addFilter(cmd *cobra.Command, a *catalog.Attributes) {
	flags := cmd.Flags()
	for _, f := range []struct {
		name, text string
		to         **catalog.Range
	}{
		{"vcpu", "number of processors, e.g. 2..16, 4.. or 8", &a.VCPUs},
		{"memory-mib", "memory in MiB, e.g. 4096.. or 2048..8192", &a.MemoryMiB},
		{"memory-per-vcpu", "GiB of memory per processor, e.g. 4..8", &a.MemoryPerVCPU},
		{"gpus", "number of GPUs; 0 leaves out types with any", &a.GPUs},
		{"accelerators", "number of GPUs and other accelerators; 0 leaves out types with any", &a.Accelerators},
		{"accelerator-memory-mib", "memory of all accelerators together in MiB", &a.AcceleratorTotalMiB},
		{"local-storage-gb", "local disks, all together, in GB", &a.LocalStorageGB},
		{"network-gbps", "network bandwidth in Gbit/s", &a.NetworkGbps},
		{"network-interfaces", "number of network interfaces", &a.NetworkInterfaces},
		{"ebs-mbps", "EBS bandwidth in Mbit/s", &a.EBSMbps},
	} {
		addFlag(cmd, &rangeFlag{f.to}, f.name, f.text, nil)
	}
	addFlag(cmd, &wordsFlag[catalog.Arch]{&a.Archs, []catalog.Arch{catalog.AMD64, catalog.ARM64}}, "arch", "architecture of the processor: amd64, arm64", []string{"amd64", "arm64"})
	for _, f := range []struct {
		name, text string
		to         *[]string
		allowed    []string
	}{
		{"cpu-manufacturer", "maker of the processor: intel, amd, aws", &a.CPUManufacturers, []string{"intel", "amd", "aws", "amazon-web-services"}},
		{"generation", "generation of the family, as AWS sees it: current, previous", &a.Generations, []string{"current", "previous"}},
		{"accelerator-type", "kind of accelerator: gpu, inference", &a.AcceleratorTypes, []string{"gpu", "inference"}},
		{"accelerator-manufacturer", "maker of the accelerator: nvidia, amd, aws, habana", &a.AcceleratorManufacturers, []string{"nvidia", "amd", "aws", "habana"}},
		{"accelerator-name", "model of the accelerator, e.g. l4", &a.AcceleratorNames, nil},
	} {
		addFlag(cmd, &wordsFlag[string]{f.to, f.allowed}, f.name, f.text, f.allowed)
	}
	for _, f := range []struct {
		name, text string
		to         *catalog.Presence
	}{
		{"bare-metal", "types that are whole machines: included, excluded, required", &a.BareMetal},
		{"burstable", "types that earn processor credits: included, excluded, required", &a.Burstable},
		{"local-storage", "types with local disks: included, excluded, required", &a.LocalStorage},
	} {
		*f.to = catalog.Included
		addFlag(cmd, &presenceFlag{f.to}, f.name, f.text, []string{"included", "excluded", "required"})
	}
	addFlag(cmd, &patternsFlag{&a.Allowed}, "allow", "only these types; * stands for anything, e.g. 'm7g.*'", nil)
	addFlag(cmd, &patternsFlag{&a.Excluded}, "exclude", "not these types, e.g. '*.nano,t2.*'", nil)
	flags.BoolVar(&a.EncryptsTransit, "encrypts-transit", false, "only types whose hardware encrypts traffic between instances")
}

func addFlag(cmd *cobra.Command, v pflag.Value, name, text string, words []string) {
	cmd.Flags().Var(v, name, text)
	complete(cmd, name, words)
}

// rangeFlag is a flag for a range of numbers.
type rangeFlag struct{ to **catalog.Range }

// String is empty while unset.
func (f *rangeFlag) String() string {
	if f.to == nil || *f.to == nil {
		return ""
	}
	return (*f.to).String()
}

// Set refuses what is no range.
func (f *rangeFlag) Set(s string) error {
	r, err := catalog.ParseRange(s)
	if err != nil {
		return errors.New("it must be a number or a range such as 2..16, 4.. or ..8, the smaller one first")
	}
	*f.to = &r
	return nil
}

// Type is shown as the value in the help text.
func (f *rangeFlag) Type() string { return "RANGE" }

// wordsFlag is a flag for a list of words with commas between, all of which are
// allowed when none is named.
type wordsFlag[T ~string] struct {
	to      *[]T
	allowed []T
}

// String is empty while unset.
func (f *wordsFlag[T]) String() string {
	if f.to == nil {
		return ""
	}
	return joined(*f.to)
}

// Set adds words.
func (f *wordsFlag[T]) Set(s string) error {
	for w := range strings.SplitSeq(s, ",") {
		v := T(strings.ToLower(strings.TrimSpace(w)))
		if v == "" || len(f.allowed) > 0 && !slices.Contains(f.allowed, v) {
			return fmt.Errorf("it must be %s", orAny(joined(f.allowed)))
		}
		*f.to = append(*f.to, v)
	}
	return nil
}

// Type is shown as the value in the help text.
func (f *wordsFlag[T]) Type() string {
	return "NAME,..."
}

// orAny says what a list of allowed words means.
func orAny(words string) string {
	if words == "" {
		return "one or more names"
	}
	return "one or more of " + strings.ReplaceAll(words, ",", ", ")
}

func joined[T ~string](words []T) string {
	text := make([]string, len(words))
	for i, w := range words {
		text[i] = string(w)
	}
	return strings.Join(text, ",")
}

// presenceFlag is a flag that says what to do with a property.
type presenceFlag struct{ to *catalog.Presence }

// String is the value.
func (f *presenceFlag) String() string {
	if f.to == nil {
		return ""
	}
	return string(*f.to)
}

// Set takes the words of EC2, and their short forms.
func (f *presenceFlag) Set(s string) error {
	switch s {
	case "include", "included":
		*f.to = catalog.Included
	case "exclude", "excluded":
		*f.to = catalog.Excluded
	case "require", "required":
		*f.to = catalog.Required
	default:
		return errors.New("it must be included, excluded or required")
	}
	return nil
}

// Type is shown as the value in the help text.
func (f *presenceFlag) Type() string { return "HOW" }

// patternsFlag is a flag for names of types with wildcards.
type patternsFlag struct{ to *[]string }

// String is empty while unset.
func (f *patternsFlag) String() string {
	if f.to == nil {
		return ""
	}
	return strings.Join(*f.to, ",")
}

// Set adds patterns.
func (f *patternsFlag) Set(s string) error {
	for p := range strings.SplitSeq(s, ",") {
		p = strings.TrimSpace(p)
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return errors.New("it must be names of types, in which * stands for anything")
		}
		*f.to = append(*f.to, p)
	}
	return nil
}

// Type is shown as the value in the help text.
func (f *patternsFlag) Type() string { return "TYPE,..." }
