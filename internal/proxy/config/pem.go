package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"

	"github.com/tatami-platform/tatami/internal/core/connect"
	pb "github.com/tatami-platform/tatami/internal/proxy/config/configpb"
)

// maxPEMBytes bounds a file with certificates; the largest sets of public roots
// have about 250 KiB.
const maxPEMBytes = 4 << 20

// inline returns the resources with the content of the files that they name, so
// that a change of the content is a change of the resource. Certificates and
// bundles are copied for that, the rest is shared.
func (f fileResources) inline(m *pb.Resources) (*pb.Resources, error) {
	out := &pb.Resources{
		Node: m.GetNode(), Listeners: m.GetListeners(), Routes: m.GetRoutes(),
		StreamRoutes: m.GetStreamRoutes(), Clusters: m.GetClusters(),
	}
	var found connect.InvalidError
	for i, c := range m.GetCertificates() {
		p := connect.Problem{Field: fmt.Sprintf("certificates[%d]", i), Resource: kindCertificate.resource(c.GetName())}
		if c.GetChainFile() != "" || c.GetKeyFile() != "" {
			c = proto.CloneOf(c)
			c.ChainPem = readPEM(&found, p, ".chainFile", source{c.GetChainFile(), c.GetChainPem()})
			c.KeyPem = readPEM(&found, p, ".keyFile", source{c.GetKeyFile(), c.GetKeyPem()})
		}
		out.Certificates = append(out.Certificates, c)
	}
	for i, b := range m.GetTrustBundles() {
		if b.GetFile() != "" {
			p := connect.Problem{Field: fmt.Sprintf("trustBundles[%d]", i), Resource: kindBundle.resource(b.GetName())}
			b = proto.CloneOf(b)
			b.Pem = readPEM(&found, p, ".file", source{b.GetFile(), b.GetPem()})
		}
		out.TrustBundles = append(out.TrustBundles, b)
	}
	return out, found.Err()
}

// source is where PEM comes from: a file, or a text.
type source struct {
	path string
	text []byte
}

// readPEM returns what a source holds; what is wrong with it is noted for the
// resource of p.
func readPEM(found *connect.InvalidError, p connect.Problem, field string, from source) []byte {
	if from.path == "" {
		return from.text
	}
	p.Field += field
	if len(from.text) > 0 {
		p.Text = "there is a text and a file; allowed: one of them"
		found.Add(p)
		return nil
	}
	data, err := readFile(from.path, maxPEMBytes)
	if err != nil {
		p.Text = err.Error()
		found.Add(p)
	}
	return data
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder; name a file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return data, nil
}

// checkPEM holds that certificates and bundles that changed can be used.
func checkPEM(old, next *connect.Config) error {
	if old == nil {
		old = &connect.Config{}
	}
	var found connect.InvalidError
	known := map[any]bool{}
	for _, c := range old.Certificates {
		known[c] = true
	}
	for _, b := range old.TrustBundles {
		known[b] = true
	}
	for i, c := range next.Certificates {
		if known[c] {
			continue
		}
		if _, err := tls.X509KeyPair(c.ChainPEM, c.KeyPEM); err != nil {
			found.Add(connect.Problem{
				Field: fmt.Sprintf("certificates[%d]", i), Resource: kindCertificate.resource(c.Name),
				Text: fmt.Sprintf("chain and key cannot be used: %v; allowed: PEM, the leaf first, and its key", err),
			})
		}
	}
	for i, b := range next.TrustBundles {
		if !known[b] && !x509.NewCertPool().AppendCertsFromPEM(b.PEM) {
			found.Add(connect.Problem{
				Field: fmt.Sprintf("trustBundles[%d]", i), Resource: kindBundle.resource(b.Name),
				Text: "there is no certificate in it; allowed: PEM with at least one",
			})
		}
	}
	return found.Err()
}
