package evloop

// Pipe is a pipe of the kernel, through which bytes go from one socket to another
// without a copy in this program.
type Pipe struct {
	read, write int
	held        int
}

// Held is how many bytes lie in the pipe.
func (p *Pipe) Held() int { return p.held }

// Splicer is a Conn whose bytes can go through a Pipe: a plain socket of the
// native poller.
type Splicer interface {
	// SpliceIn is Read into an empty pipe. errors.ErrUnsupported: read instead.
	SpliceIn(p *Pipe) (n int, err error)
	// SpliceOut is Write of what the pipe holds.
	SpliceOut(p *Pipe) (n int, err error)
}

// keptPipes bounds the pipes that a loop keeps for the next in need. Each is two
// descriptors and, while it is empty, no pages.
const keptPipes = 32

type pipes struct{ kept []*Pipe }

// TakePipe returns an empty pipe, or an error (errors.ErrUnsupported) where there
// are none.
func (l *Loop) TakePipe() (*Pipe, error) {
	if n := len(l.pipes.kept); n > 0 {
		p := l.pipes.kept[n-1]
		l.pipes.kept = l.pipes.kept[:n-1]
		return p, nil
	}
	return newPipe()
}

// GivePipe takes a pipe back; nil is fine. One that is not empty is closed.
func (l *Loop) GivePipe(p *Pipe) {
	switch {
	case p == nil:
	case p.held == 0 && len(l.pipes.kept) < keptPipes:
		l.pipes.kept = append(l.pipes.kept, p)
	default:
		p.close()
	}
}

func (p *pipes) close() {
	for _, kept := range p.kept {
		kept.close()
	}
	p.kept = nil
}
