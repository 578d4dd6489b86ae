// Package capture says where frames come from: files and rings. It decodes nothing.
package capture

import "weir/wire"

// Source yields frames. Frames, and their Data, are borrowed until the next call of Next or Close. Next returns
// io.EOF at a file's end and net.ErrClosed after Close; an empty slice without an error is a tick: nothing came for a
// while. It may return frames together with an error. Close may be called from another goroutine and makes Next return.
type Source interface {
	Next() ([]wire.Frame, error)
	Close() error
}

// Interface describes one of a source's interfaces; wire.Frame.Iface indexes them.
type Interface struct {
	Name        string
	Description string
	Link        wire.Link
	SnapLen     uint32 // bytes; 0: unlimited
}
