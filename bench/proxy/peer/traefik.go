package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The library for certificates that Traefik's copy is changed by.
const (
	legoPath    = "github.com/go-acme/lego/v5"
	legoVersion = "v5.4.1"
	legoSum     = "h1:Jt6xAP9xQrJ3SLLGgxejfDDd3pzdrmuLCWe4oTqHHQc="
)

// prepareTraefik makes the module's copy build from what module proxies have.
// None of it is on the path of a request that is measured here:
//
//   - the folder that the module replaces github.com/traefik/traefik/dynamic/ext
//     by has a go.mod of its own and is therefore not in the module: two empty
//     types take its place;
//   - some 200 DNS providers for certificates bring as many libraries of their
//     vendors, some of which proxies do not hand out: they are left out;
//   - so is the check of passwords, for the same reason.
//
// So the program is smaller than the one that is released.
func prepareTraefik(ctx context.Context, dir string) error {
	from, err := download(ctx, legoPath, legoVersion, legoSum)
	if err != nil {
		return err
	}
	if err := clone(from, filepath.Join(dir, "lego")); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"pkg/config/dynamic/ext/go.mod":              "module github.com/traefik/traefik/dynamic/ext\n\ngo 1.26\n",
		"pkg/config/dynamic/ext/ext.go":              "package ext\n\ntype (\n\tHTTP   struct{}\n\tRouter struct{}\n)\n",
		"lego/providers/dns/zz_gen_dns_providers.go": withoutDNS,
		"pkg/middlewares/auth/basic_auth.go":         withoutAuth,
		"pkg/middlewares/auth/digest_auth.go":        "package auth\n",
	} {
		if err := place(filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	edit := exec.CommandContext(ctx, "go", "mod", "edit", "-replace", legoPath+"=./lego")
	edit.Dir = dir
	if out, err := edit.CombinedOutput(); err != nil {
		return fmt.Errorf("go mod edit: %w\n%s", err, out)
	}
	return nil
}

func place(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o600)
}

const withoutDNS = `package dns

import (
	"errors"

	"github.com/go-acme/lego/v5/challenge"
)

func NewDNSChallengeProviderByName(string) (challenge.Provider, error) {
	return nil, errors.New("built without DNS providers")
}
`

const withoutAuth = `package auth

import (
	"context"
	"errors"
	"net/http"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
)

func NewBasic(context.Context, http.Handler, dynamic.BasicAuth, string) (http.Handler, error) {
	return nil, errors.New("built without passwords")
}

func NewDigest(context.Context, http.Handler, dynamic.DigestAuth, string) (http.Handler, error) {
	return nil, errors.New("built without passwords")
}
`
