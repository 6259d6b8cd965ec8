package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

const clientTimeout = 5 * time.Second

// request is an HTTP GET; tokenFile and caFile are for the API server.
type request struct{ url, tokenFile, caFile string }

// fetch returns the body of a 200; of any other answer, status and body are the
// error. Each call makes a new connection, as load balancing is by connection.
func fetch(r request) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, http.NoBody)
	if err != nil {
		return "", err
	}
	if r.tokenFile != "" {
		token, err := os.ReadFile(r.tokenFile)
		if err != nil {
			return "", err
		}
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	tlsConfig, err := trust(r.caFile)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: tlsConfig}}
	answer, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return string(body), err
}

// trust without a file accepts any certificate: the question is then only what
// the server answers to somebody unknown.
func trust(caFile string) (*tls.Config, error) {
	if caFile == "" {
		return &tls.Config{InsecureSkipVerify: true}, nil //nolint:gosec // as said
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + caFile)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// resolve looks a name up: kind is host (A and AAAA), srv (the whole name of
// the record) or ptr (an address). The answers come sorted.
func resolve(kind, name string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	defer cancel()
	var answers []string
	var err error
	switch kind {
	case "srv":
		var records []*net.SRV
		_, records, err = net.DefaultResolver.LookupSRV(ctx, "", "", name)
		for _, r := range records {
			answers = append(answers, fmt.Sprintf("%s:%d", strings.TrimSuffix(r.Target, "."), r.Port))
		}
	case "ptr":
		answers, err = net.DefaultResolver.LookupAddr(ctx, name)
	default:
		answers, err = net.DefaultResolver.LookupHost(ctx, name)
	}
	slices.Sort(answers)
	return strings.Join(answers, " "), err
}

// askUDP sends a datagram and returns the answer.
func askUDP(addr, text string) (string, error) {
	var d net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), clientTimeout)
	defer cancel()
	c, err := d.DialContext(ctx, "udp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(clientTimeout)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, text); err != nil {
		return "", err
	}
	buf := make([]byte, 1500)
	n, err := c.Read(buf)
	return string(buf[:n]), err
}

// notify tells a recorder, on the way out too; target is a URL that lacks the
// text.
func notify(target, text string) {
	if target == "" {
		return
	}
	if _, err := fetch(request{url: target + url.QueryEscape(text)}); err != nil {
		fmt.Fprintln(os.Stderr, "notify:", err)
	}
}
