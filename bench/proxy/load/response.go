package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxHead is the longest head of an answer that is taken, in bytes.
const maxHead = 16 << 10

// response reads one answer of HTTP/1.1 piece by piece. It takes Content-Length
// only: all backends here send it, and no proxy has a reason to change that.
type response struct {
	// head is the part of the head that has come so far.
	head []byte
	// left is what the body still lacks, in bytes.
	left   int64
	inBody bool
}

// feed takes the next bytes and says whether the answer is complete. A status
// other than 200, another length than want and bytes too many are errors.
func (r *response) feed(p []byte, want int64) (done bool, err error) {
	if r.inBody {
		return r.body(p)
	}
	if len(r.head) > 0 {
		r.head = append(r.head, p...)
		p = r.head
	}
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		if len(r.head) == 0 {
			r.head = append(r.head, p...)
		}
		if len(r.head) > maxHead {
			return false, errors.New("the head of the answer does not end")
		}
		return false, nil
	}
	length, err := parseHead(p[:end+2])
	if err != nil {
		return false, err
	}
	if length != want {
		return false, fmt.Errorf("the body has %d bytes, and %d were expected", length, want)
	}
	r.inBody, r.left = true, length
	return r.body(p[end+4:])
}

func (r *response) body(p []byte) (done bool, err error) {
	r.left -= int64(len(p))
	if r.left < 0 {
		return false, fmt.Errorf("%d bytes more than the answer has", -r.left)
	}
	if r.left > 0 {
		return false, nil
	}
	r.inBody, r.head = false, r.head[:0]
	return true, nil
}

// parseHead wants status 200 and returns the length of the body.
func parseHead(head []byte) (int64, error) {
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		line, _, _ := bytes.Cut(head, []byte("\r\n"))
		return 0, fmt.Errorf("the answer is %q", line)
	}
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !bytes.EqualFold(name, []byte("Content-Length")) {
			continue
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%q is no length", value)
		}
		return n, nil
	}
	return 0, fmt.Errorf("the answer has no Content-Length: %q", head)
}
