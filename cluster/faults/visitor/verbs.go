package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// patience bounds one visit. It is longer than what egress waits for.
const patience = 20 * time.Second

// uploadBytes is how much upload sends.
const uploadBytes = 20 << 20

func verbs() map[string]func(target string) (string, error) {
	return map[string]func(string) (string, error){
		"get": get, "look-up": lookUp, "knock": knock, "upload": upload, "answer": answer, "stay": stay,
	}
}

// get returns the body of an answer, and of a long one its digest.
func get(url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if len(body) > 1000 {
		return fmt.Sprintf("%d bytes %x", len(body), sha256.Sum256(body)), err
	}
	return string(body), err
}

func lookUp(name string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	return strings.Join(addrs, " "), err
}

// knock connects and waits for the first byte: a proxy on the way may take a
// connection before it knows that nobody is there.
func knock(addr string) (string, error) {
	c, err := dial(addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	first := make([]byte, 1)
	n, err := io.ReadFull(c, first)
	return string(first[:n]), err
}

// upload sends much, ends its own half of the connection, and returns what is
// said then.
func upload(addr string) (string, error) {
	c, err := dial(addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	block := []byte(strings.Repeat("tatami", 10_000))
	for left := uploadBytes; left > 0; left -= len(block) {
		block = block[:min(left, len(block))]
		if _, err := c.Write(block); err != nil {
			return "", err
		}
	}
	half, ok := c.(interface{ CloseWrite() error })
	if !ok {
		return "", fmt.Errorf("half of a %T can't be ended", c)
	}
	if err := half.CloseWrite(); err != nil {
		return "", err
	}
	said, err := io.ReadAll(c)
	return string(said), err
}

// answer listens until the other half has ended, and speaks only then.
func answer(addr string) (string, error) {
	c, err := dial(addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	heard, err := io.ReadAll(c)
	if err != nil {
		return "", err
	}
	_, err = io.WriteString(c, "heard "+string(heard))
	return string(heard), err
}

// stay keeps a connection open for as long as the other side does.
func stay(addr string) (string, error) {
	c, err := dial(addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Time{}); err != nil {
		return "", err
	}
	_, err = io.Copy(io.Discard, c)
	return "", err
}

func dial(addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: patience}
	c, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(patience))
}
