package lab

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
)

// ErrBody is wrapped by what is wrong with a body that looks whole.
var ErrBody = errors.New("wrong body")

// MinBody is the size of the smallest body.
const MinBody = 64

const bodyHead = 16 + 1 + 8 + 1

// Bodies makes bodies that say which request they belong to, and shows whether a
// body is one of them, whole and unchanged.
type Bodies struct {
	pattern []byte
	table   *crc32.Table
}

// NewBodies makes bodies of up to max bytes.
func NewBodies(maxSize int) *Bodies {
	b := &Bodies{pattern: make([]byte, maxSize+4096), table: crc32.MakeTable(crc32.Castagnoli)}
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b.pattern)
	return b
}

// Append appends the body of a request, of size bytes, at least MinBody.
func (b *Bodies) Append(dst []byte, id uint64, size int) []byte {
	size = max(size, MinBody)
	from := len(dst)
	dst = fmt.Appendf(dst, "%016x %08x\n", id, size)
	dst = append(dst, b.pattern[id%4096:][:size-bodyHead-8]...)
	return fmt.Appendf(dst, "%08x", crc32.Checksum(dst[from:], b.table))
}

// Check says what is wrong with the body of a request's answer.
func (b *Bodies) Check(id uint64, body []byte) error {
	got, err := b.check(body)
	switch {
	case err != nil:
		return fmt.Errorf("%w for request %x: %w", ErrBody, id, err)
	case got != id:
		return fmt.Errorf("%w for request %x: it is that of request %x", ErrBody, id, got)
	}
	return nil
}

func (b *Bodies) check(body []byte) (id uint64, err error) {
	if len(body) < MinBody {
		return 0, fmt.Errorf("%d bytes: %.80q", len(body), body)
	}
	id, err = strconv.ParseUint(string(body[:16]), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("begins with %.40q", body)
	}
	size, err := strconv.ParseUint(string(body[17:25]), 16, 64)
	if err != nil || int(size) != len(body) {
		return id, fmt.Errorf("%d bytes, of which it says to be %s", len(body), body[17:25])
	}
	var sum [4]byte
	end := len(body) - 8
	if _, err := hex.Decode(sum[:], body[end:]); err != nil {
		return id, fmt.Errorf("ends with %q", body[end:])
	}
	want := crc32.Checksum(body[:end], b.table)
	if got := uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3]); got != want {
		return id, fmt.Errorf("checksum %08x, not %08x", got, want)
	}
	if !bytes.Equal(body[bodyHead:end], b.pattern[id%4096:][:end-bodyHead]) {
		return id, errors.New("other bytes than were sent")
	}
	return id, nil
}
