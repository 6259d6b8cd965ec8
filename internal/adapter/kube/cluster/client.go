package cluster

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tatami-platform/tatami/internal/control"
)

// Requests per second: lists are few, and the server protects itself.
const (
	rate  = 50
	burst = 100
)

var errNoConfig = errors.New("no kubeconfig was found")

// Client reads one cluster.
type Client struct {
	rest rest.Interface
	// Context is the name of the kubeconfig's context that is used.
	Context string
}

// Connect finds a cluster as kubectl does: by the file given or the usual
// places, and by the context given or the current one. It does not talk to it.
func Connect(kubeconfig, context string) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, problem(err)
	}
	if context == "" {
		if raw, err := loader.RawConfig(); err == nil {
			context = raw.CurrentContext
		}
	}
	c, err := connect(config)
	if err != nil {
		return nil, problem(err)
	}
	c.Context = context
	return c, nil
}

func problem(err error) error {
	if clientcmd.IsEmptyConfig(err) {
		err = errNoConfig
	}
	return &control.Problem{
		What: "cannot read the cluster",
		Why:  err,
		Next: "name a context of your kubeconfig with --context; `kubectl config get-contexts` lists them",
	}
}

func connect(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &schema.GroupVersion{}
	config.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	config.QPS, config.Burst = rate, burst
	config.UserAgent = "tatami"
	config.WarningHandler = rest.NoWarnings{} // about versions of an API, for its authors
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("client for %s: %w", config.Host, err)
	}
	return &Client{rest: client}, nil
}
