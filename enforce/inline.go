package enforce

import (
	"weir/engine"
	"weir/wire"
)

// Inline makes the engine judge: what it returns is set in Config. The tap is the queue's alone; its Cut and Closed are set here.
func Inline(e *engine.Engine, tap engine.TapConfig, conf *Config) *engine.Tap {
	var cut func(*engine.Cut)
	tap.Cut = func(c *engine.Cut) {
		if cut != nil {
			cut(c)
		}
	}
	tap.Closed = conf.Failure == Closed
	t := e.NewTap(tap)
	conf.Judge = func(l *engine.Lane, frames []wire.Frame, rulings []engine.Ruling, told func(*engine.Cut)) {
		cut = told
		l.Judge(t, frames, rulings)
		cut = nil
	}
	conf.Tick = func(l *engine.Lane, now int64, told func(*engine.Cut)) {
		cut = told
		l.Tick(t, now)
		cut = nil
	}
	conf.End = func(l *engine.Lane) { l.Close(t) }
	return t
}
