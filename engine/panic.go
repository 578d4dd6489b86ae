package engine

import (
	"fmt"
	"runtime"
	"strings"

	"weir/dissect"
	"weir/wire"
)

// survive is deferred around what must not end the daemon.
func (l *Lane) survive() {
	if r := recover(); r != nil {
		l.panicked(r)
	}
}

// recovered is deferred around the work on a frame of a tap, which l serves.
func (l *Lane) recovered(t *Tap, f *wire.Frame) {
	if r := recover(); r != nil {
		l.mend(r, t, f)
	}
}

// mend goes on after a panic on a frame of t.
func (l *Lane) mend(r any, t *Tap, f *wire.Frame) {
	unlock := l.lockTwin()
	l.panicked(r)
	unlock()
	l.keepAfterPanic(t, f)
}

// panicked drops the parser of the flow that was being worked on, and what it had collected for its next message.
func (l *Lane) panicked(r any) {
	l.t.count.panics++
	if l.OnPanic != nil {
		l.OnPanic(fmt.Sprintf("%T\n%s", r, stack()))
	}
	l.env().Forget()
	l.discard(l.opener.Forget)
	l.plain = nil
	a := l.a
	if l.fl == nil || a == nil {
		l.t.tellOnce("engine", "engine.panic", "an internal error was survived; please report it")
		return
	}
	if a.work == nil {
		a.work = &work{}
	}
	l.discard(func() { l.opener.Drop(&a.content) }) // it may hold decoders
	if d := a.d; d != nil {
		a.d = nil
		for dir := range wire.Dir(2) {
			l.discard(func() { d.Close(dir, dropMessage) }) // likewise
		}
	}
	for dir := range wire.Dir(2) {
		l.discard(func() { a.skip(len(l.join(dir, nil)), whyPanic) })
	}
	if !a.panicked {
		l.anomaly("engine", "engine.panic", "an internal error was survived: this flow is not inspected any more; please report it")
	}
	a.panicked = true
	a.at = [2]place{unknown, unknown}
	a.skip(0, whyPanic)
	for i := range l.left {
		a.skip(len(l.left[i].Data), whyPanic)
	}
	l.left = nil
}

const whyPanic = "panic"

// stack returns where the panic happened: functions and lines, and no arguments, which may be bytes of a packet. Nor is the panic's value
// told, for the same reason.
func stack() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var b strings.Builder
	for {
		f, more := frames.Next()
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		if !more {
			return b.String()
		}
	}
}

func dropMessage(*dissect.Message) {}

// discard does what is of no consequence should it panic too.
func (l *Lane) discard(do func()) {
	defer func() {
		if recover() != nil {
			l.env().Forget()
		}
	}()
	do()
}

// keepAfterPanic keeps the packet that caused a panic, as every other.
func (l *Lane) keepAfterPanic(t *Tap, f *wire.Frame) {
	fl := l.fl
	l.discard(func() {
		if fl != nil {
			t.keepPacket(l, f, 0)
		} else {
			t.keepRecent(f, 0)
		}
	})
	l.comments = l.comments[:0]
}
