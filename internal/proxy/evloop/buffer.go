package evloop

// Sizes of buffers in bytes. A connection starts with a small one, and takes a
// large one while a body fills the small one at every read.
const (
	SmallBuffer = 8 << 10
	LargeBuffer = 64 << 10
)

const (
	keptSmall = 512
	keptLarge = 16
)

// buffers keeps what is not in use, for one loop: no lock, and memory that is
// still in the cache.
type buffers struct {
	small [][]byte
	large [][]byte
}

// Buffer returns a buffer of at least size bytes with its full length.
func (l *Loop) Buffer(size int) []byte {
	switch {
	case size <= SmallBuffer:
		return take(&l.buffers.small, SmallBuffer)
	case size <= LargeBuffer:
		return take(&l.buffers.large, LargeBuffer)
	default:
		return make([]byte, size)
	}
}

// Release gives a buffer back; nil is fine.
func (l *Loop) Release(b []byte) {
	switch cap(b) {
	case SmallBuffer:
		if len(l.buffers.small) < keptSmall {
			l.buffers.small = append(l.buffers.small, b[:SmallBuffer])
		}
	case LargeBuffer:
		if len(l.buffers.large) < keptLarge {
			l.buffers.large = append(l.buffers.large, b[:LargeBuffer])
		}
	}
}

func take(list *[][]byte, size int) []byte {
	kept := *list
	if n := len(kept); n > 0 {
		b := kept[n-1]
		kept[n-1] = nil
		*list = kept[:n-1]
		return b
	}
	return make([]byte, size)
}
