package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// The marks of steps and checks.
const (
	markGood = "√"
	markWarn = "‼"
	markBad  = "×"
	markSkip = "-"
)

// frameInterval is how often the live line is drawn: often enough for the
// spinner to look alive.
const frameInterval = 100 * time.Millisecond

// frames are the pictures of the spinner, one character each.
const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

// progress implements [control.Progress] on a console. On a terminal the
// current step is a live line with its time; elsewhere each step gives one line
// when it ends.
type progress struct {
	out Console
	now func() time.Time

	mu     sync.Mutex
	step   string
	detail string
	began  time.Time
	frame  int
	// stop ends the goroutine that draws; nil while there is none.
	stop    chan struct{}
	drawing sync.WaitGroup
}

func newProgress(out Console, now func() time.Time) *progress {
	return &progress{out: out, now: now}
}

// Step ends the current step and begins another.
func (p *progress) Step(name string) {
	p.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step, p.detail, p.began = name, "", p.now()
	if !p.out.terminal() {
		return
	}
	p.draw()
	p.stop = make(chan struct{})
	p.drawing.Add(1)
	go p.animate(p.stop)
}

// Detail replaces the note beside the step.
func (p *progress) Detail(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.detail = text
}

// Note prints a line that stays, above the live line.
func (p *progress) Note(text string) {
	p.above(func() {
		fmt.Fprintf(p.out, "%s %s\n", p.out.paint(styleWarn, "note:"), text)
	})
}

// Done ends the current step well.
func (p *progress) Done() { p.end(markGood, styleGood) }

// fail ends the current step badly and returns its name.
func (p *progress) fail() string { return p.end(markBad, styleBad) }

// drop ends the current step without a line.
func (p *progress) drop() { p.end("", "") }

func (p *progress) end(mark, style string) string {
	p.halt()
	p.mu.Lock()
	defer p.mu.Unlock()
	step := p.step
	if step == "" {
		return ""
	}
	p.clear()
	if mark != "" {
		took := p.out.paint(styleFade, seconds(p.now().Sub(p.began)))
		fmt.Fprintf(p.out, "%s %s  %s\n", p.out.paint(style, mark), step, took)
	}
	p.step = ""
	return step
}

// above runs print with the live line out of the way.
func (p *progress) above(print func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.step == "" {
		print()
		return
	}
	p.clear()
	print()
	p.draw()
}

// halt waits for the drawing goroutine, so that none draws after a step ended.
func (p *progress) halt() {
	p.mu.Lock()
	stop := p.stop
	p.stop = nil
	p.mu.Unlock()
	if stop != nil {
		close(stop)
		p.drawing.Wait()
	}
}

func (p *progress) animate(stop <-chan struct{}) {
	defer p.drawing.Done()
	tick := time.NewTicker(frameInterval)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			p.mu.Lock()
			p.frame++
			p.draw()
			p.mu.Unlock()
		}
	}
}

func (p *progress) clear() {
	if p.out.terminal() {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// draw redraws the live line, cut to the width so that it never wraps: a
// wrapped line could not be cleared.
func (p *progress) draw() {
	if !p.out.terminal() {
		return
	}
	text := p.step + "  " + wholeSeconds(p.now().Sub(p.began))
	room := p.out.Width - 3
	if p.detail != "" {
		text += "  " + strings.Join(strings.Fields(p.detail), " ")
	}
	pictures := []rune(frames)
	spinner := p.out.paint(styleGood, string(pictures[p.frame%len(pictures)]))
	fmt.Fprintf(p.out, "\r\x1b[K%s %s", spinner, cut(text, room))
}

// cut shortens text to a number of characters.
func cut(text string, room int) string {
	runes := []rune(text)
	if len(runes) <= room {
		return text
	}
	if room < 1 {
		return ""
	}
	return string(runes[:room-1]) + "…"
}
