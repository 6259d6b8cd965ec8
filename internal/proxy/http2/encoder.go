package http2

import (
	"hash/maphash"
	"strconv"
	"unsafe"

	"golang.org/x/net/http2/hpack"

	"github.com/tatami-platform/tatami/internal/core/connect/message"
)

const (
	// encoderTable is the most that the dynamic table takes, in bytes as RFC 7541
	// section 4.1 counts them, whatever the peer allows.
	encoderTable = 4096
	entryCost    = 32
	entrySlots   = encoderTable / entryCost
	// longestEntry bounds one entry, so that a long value does not evict all others.
	longestEntry = 1024
	staticCount  = 61
)

// encoder writes header blocks (RFC 7541). x/net's keeps the strings it is given
// in its table, which those of a message.Head forbid, and asks two maps per
// field; this one copies what it keeps into slots that are used again.
//
// A field enters the table when it comes for the second time, so that dates and
// request IDs do not churn it.
type encoder struct {
	seed  maphash.Seed
	slots [entrySlots]slot
	// head and tail count entries ever added and evicted: slot i%entrySlots.
	head, tail uint32
	size       uint32
	// index finds a slot by the pair's hash, plus one. It may be stale: what it
	// names is compared.
	index [256]uint8
	// seen holds the hashes of pairs that came once.
	seen    [256]uint32
	maxSize uint32
	resized bool // the next block must tell maxSize
	lower   []byte
}

type slot struct {
	hash    uint32
	nameLen uint32
	text    []byte // name, then value
}

func (e *encoder) init() {
	e.seed = maphash.MakeSeed()
	e.maxSize = encoderTable
}

// resize obeys the peer's SETTINGS_HEADER_TABLE_SIZE. A size that went down and
// up again before the next block stays down: it would take two updates in one
// block, which RFC 7541 section 4.2 allows and x/net's decoder refuses.
func (e *encoder) resize(peer uint32) {
	size := min(peer, encoderTable)
	if size == e.maxSize || size > e.maxSize && e.resized {
		return
	}
	e.resized = true
	e.maxSize = size
	e.evict(0)
}

// begin starts a block.
func (e *encoder) begin(dst []byte) []byte {
	if !e.resized {
		return dst
	}
	e.resized = false
	return appendInt(dst, 0x20, 5, uint64(e.maxSize))
}

// field appends one field; the name may be in any case.
func (e *encoder) field(dst []byte, id message.ID, name, value string) []byte {
	name = e.lowered(name)
	if secret(id) {
		return e.literal(dst, 0x10, 4, name, value)
	}
	size := uint32(len(name) + len(value) + entryCost)
	if size > longestEntry || size > e.maxSize {
		return e.literal(dst, 0, 4, name, value)
	}
	hash := uint32(maphash.String(e.seed, value)) ^ uint32(maphash.String(e.seed, name))*31
	if i := e.find(hash, name, value); i != 0 {
		return appendInt(dst, 0x80, 7, uint64(i))
	}
	if seen := &e.seen[hash&0xff]; *seen != hash {
		*seen = hash
		return e.literal(dst, 0, 4, name, value)
	}
	// Before it is added: the index of the name may not count the new entry.
	dst = e.literal(dst, 0x40, 6, name, value)
	e.add(hash, name, value, size)
	return dst
}

// indexed appends an entry of the static table.
func (e *encoder) indexed(dst []byte, i byte) []byte { return append(dst, 0x80|i) }

// number appends a field of the static table's name with a number as its value,
// not indexed.
func (e *encoder) number(dst []byte, nameIndex uint64, n int64) []byte {
	dst = appendInt(dst, 0, 4, nameIndex)
	at := len(dst)
	dst = strconv.AppendInt(append(dst, 0), n, 10)
	dst[at] = byte(len(dst) - at - 1) // below 20, so one byte
	return dst
}

func (e *encoder) lowered(name string) string {
	for i := range len(name) {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			return e.lowerFrom(name, i)
		}
	}
	return name
}

// lowerFrom is valid until the next call.
func (e *encoder) lowerFrom(name string, from int) string {
	e.lower = append(e.lower[:0], name...)
	for i := from; i < len(e.lower); i++ {
		if c := e.lower[i]; 'A' <= c && c <= 'Z' {
			e.lower[i] = c + 'a' - 'A'
		}
	}
	//nolint:gosec // a view of e.lower that field does not keep: what it keeps it copies
	return unsafe.String(unsafe.SliceData(e.lower), len(e.lower))
}

// find is the index of the pair in HPACK's address space, or 0.
func (e *encoder) find(hash uint32, name, value string) uint32 {
	if i := staticPair(name, value); i != 0 {
		return i
	}
	at := uint32(e.index[hash&0xff])
	if at == 0 {
		return 0
	}
	at--
	s := &e.slots[at]
	// The newest entry that used this slot: live if it is not evicted.
	age := (e.head - 1 - at) % entrySlots
	if s.hash != hash || age >= e.head-e.tail || int(s.nameLen) != len(name) ||
		len(s.text) != len(name)+len(value) || string(s.text[:s.nameLen]) != name || string(s.text[s.nameLen:]) != value {
		return 0
	}
	return staticCount + 1 + age
}

func (e *encoder) add(hash uint32, name, value string, size uint32) {
	e.evict(size)
	at := e.head % entrySlots
	s := &e.slots[at]
	s.hash, s.nameLen = hash, uint32(len(name))
	s.text = append(append(s.text[:0], name...), value...)
	e.index[hash&0xff] = uint8(at) + 1
	e.head++
	e.size += size
}

// evict makes room for size bytes.
func (e *encoder) evict(size uint32) {
	for e.tail != e.head && e.size+size > e.maxSize {
		e.size -= uint32(len(e.slots[e.tail%entrySlots].text)) + entryCost
		e.tail++
	}
}

// literal appends a literal field with the pattern and prefix of its kind.
func (e *encoder) literal(dst []byte, pattern byte, prefix uint, name, value string) []byte {
	if i := staticName(name); i != 0 {
		dst = appendInt(dst, pattern, prefix, uint64(i))
	} else {
		dst = appendString(append(dst, pattern), name)
	}
	return appendString(dst, value)
}

func appendString(dst []byte, s string) []byte {
	// Huffman coding costs more than the bytes it saves on short strings.
	if len(s) >= 16 {
		if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s))*7/8 {
			return hpack.AppendHuffmanString(appendInt(dst, 0x80, 7, n), s)
		}
	}
	return append(appendInt(dst, 0, 7, uint64(len(s))), s...)
}

// appendInt appends i with a prefix of so many bits (RFC 7541 section 5.1).
func appendInt(dst []byte, pattern byte, prefix uint, i uint64) []byte {
	limit := uint64(1)<<prefix - 1
	if i < limit {
		return append(dst, pattern|byte(i))
	}
	dst = append(dst, pattern|byte(limit))
	for i -= limit; i >= 0x80; i >>= 7 {
		dst = append(dst, byte(i)|0x80)
	}
	return append(dst, byte(i))
}

// secret says that a field is never indexed (RFC 7541 section 7.1.3): whoever
// can add fields to this connection could guess it byte by byte.
func secret(id message.ID) bool {
	switch id {
	case message.IDAuthorization, message.IDProxyAuthorization, message.IDCookie, message.IDSetCookie:
		return true
	default:
		return false
	}
}
