package http2

import "github.com/tatami-platform/tatami/internal/proxy/evloop"

// queue is bytes in order, in buffers of the loop. The zero value is empty.
type queue struct {
	chunks [][]byte // each cut to what it holds
	first  int      // chunks before it are taken
	off    int      // bytes of chunks[first] that are taken
	size   int
}

// push copies p behind what is there.
func (q *queue) push(l *evloop.Loop, p []byte) {
	q.size += len(p)
	for len(p) > 0 {
		last := len(q.chunks) - 1
		if last < q.first || len(q.chunks[last]) == cap(q.chunks[last]) {
			q.chunks = append(q.chunks, l.Buffer(min(len(p), evloop.LargeBuffer))[:0])
			last++
		}
		c := q.chunks[last]
		n := copy(c[len(c):cap(c)], p)
		q.chunks[last] = c[:len(c)+n]
		p = p[n:]
	}
}

// front is the first bytes without a copy; empty when the queue is.
func (q *queue) front() []byte {
	if q.size == 0 {
		return nil
	}
	return q.chunks[q.first][q.off:]
}

// drop takes n bytes, at most those of front.
func (q *queue) drop(l *evloop.Loop, n int) {
	q.off += n
	q.size -= n
	if q.off < len(q.chunks[q.first]) {
		return
	}
	l.Release(q.chunks[q.first])
	q.chunks[q.first] = nil
	q.advance()
}

// pop takes the first buffer; p is what it holds. The caller releases buf when it
// has done with p, so that freeing the queue meanwhile does no harm.
func (q *queue) pop() (p, buf []byte) {
	buf = q.chunks[q.first]
	p = buf[q.off:]
	q.chunks[q.first] = nil
	q.size -= len(p)
	q.advance()
	return p, buf
}

// advance goes on to the next buffer.
func (q *queue) advance() {
	q.first++
	q.off = 0
	if q.first == len(q.chunks) {
		q.chunks, q.first = q.chunks[:0], 0
	} else if q.first >= 16 {
		// A queue that never runs dry must not grow at its front.
		n := copy(q.chunks, q.chunks[q.first:])
		clear(q.chunks[n:])
		q.chunks, q.first = q.chunks[:n], 0
	}
}

// moveTo appends the first n bytes to dst and takes them.
func (q *queue) moveTo(l *evloop.Loop, dst []byte, n int) []byte {
	for n > 0 {
		p := q.front()
		p = p[:min(n, len(p))]
		dst = append(dst, p...)
		n -= len(p)
		q.drop(l, len(p))
	}
	return dst
}

// free gives all buffers back.
func (q *queue) free(l *evloop.Loop) {
	for i := q.first; i < len(q.chunks); i++ {
		l.Release(q.chunks[i])
		q.chunks[i] = nil
	}
	*q = queue{chunks: q.chunks[:0]}
}
