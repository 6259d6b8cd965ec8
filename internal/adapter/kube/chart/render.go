package chart

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"helm.sh/helm/v4/pkg/chart/common"
	chartcommon "helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	charts "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	"helm.sh/helm/v4/pkg/strvals"
	"sigs.k8s.io/yaml"

	"github.com/tatami-platform/tatami/internal/control"
)

var (
	errLibrary    = errors.New("it is a library chart, which has no manifests of its own")
	errDependency = errors.New("a chart that it needs is not in its charts/ folder")
)

// Render renders a chart, a folder or an archive, as `helm template` would with
// the chart's name as that of the release. The result is by the name of the
// template. Nothing is looked up in a cluster, and CRDs are left out.
func Render(path string, from control.Sources) (map[string]string, error) {
	c, err := loader.Load(path)
	if err != nil {
		return nil, err
	}
	if err := usable(c); err != nil {
		return nil, err
	}
	given, err := values(from)
	if err != nil {
		return nil, err
	}
	if err := charts.ProcessDependencies(c, given); err != nil {
		return nil, err
	}
	release := common.ReleaseOptions{Name: c.Name(), Namespace: namespace(from.Namespace), Revision: 1, IsInstall: true}
	all, err := chartcommon.ToRenderValues(c, given, release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, all)
}

func namespace(name string) string {
	if name == "" {
		return "default"
	}
	return name
}

func usable(c *chart.Chart) error {
	if c.Metadata.Type == "library" {
		return errLibrary
	}
	have := map[string]bool{}
	for _, sub := range c.Dependencies() {
		have[sub.Name()] = true
	}
	for _, need := range c.Metadata.Dependencies {
		if !have[need.Name] {
			return fmt.Errorf("%s: %w", need.Name, errDependency)
		}
	}
	return nil
}

// values are those of the files, later ones over earlier ones, and then the
// single settings.
func values(from control.Sources) (map[string]any, error) {
	all := map[string]any{}
	for _, file := range from.ValueFiles {
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &control.Problem{What: "there is no file " + file, Next: "name a file of values that exists with --values"}
		}
		if err != nil {
			return nil, err
		}
		var more map[string]any
		if err := yaml.Unmarshal(data, &more); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = loader.MergeMaps(all, more)
	}
	for _, setting := range from.Values {
		if err := strvals.ParseInto(setting, all); err != nil {
			return nil, fmt.Errorf("--set %s: %w", setting, err)
		}
	}
	return all, nil
}
