package pcapstore

import (
	"bytes"
	"context"
	"io"
	"strings"

	"weir/capture"
	"weir/wire"
)

// Capture is a file that a Writer wrote in format PcapNG.
type Capture struct {
	File io.ReaderAt
	Size int64 // bytes
}

// Walk calls each with the packets of the capture in order, numbered from 0. The frame is borrowed until each returns. Errors: ctx's, those of the
// file system, each's, and that the file is none that a Writer wrote.
func (c *Capture) Walk(ctx context.Context, each func(n int, f *wire.Frame, comment string) error) error {
	r := c.reader()
	n := 0
	var got stored
	return r.blocks(ctx, func(kind uint32, body []byte) error {
		if kind != blockPacket {
			return r.describe(kind, body)
		}
		if err := r.packet(body, &got, true); err != nil {
			return err
		}
		n++
		return each(n-1, &got.frame, got.note.Comment)
	})
}

// Edit writes the capture to w, in a format other than Table, with what edit makes of the packets: it may overwrite the bytes of the frame it is given, and returns
// what is to be said of that in a comment of the packet. The capture itself stays as it is. said is put in front of the comment of its section; a slice's
// is marked as redacted. Errors: as Walk, those of w, and ErrLinkType.
func (c *Capture) Edit(ctx context.Context, w io.Writer, format Format, app, said string, edit func(n int, f *wire.Frame) string) error {
	r := c.reader()
	out := NewWriter(w, format, app, "")
	out.buf = out.buf[:0] // the section is written with its own comment
	n := 0
	var got stored
	var scratch []byte
	err := r.blocks(ctx, func(kind uint32, body []byte) error {
		switch kind {
		case blockSection:
			if format == PcapNG {
				out.buf = appendSection(out.buf, app, redactedComment(said, sectionComment(body)))
			}
			return nil
		case blockPacket:
			if err := r.packet(body, &got, true); err != nil {
				return err
			}
			scratch = append(scratch[:0], got.frame.Data...)
			got.frame.Data = scratch
			if text := edit(n, &got.frame); text != "" {
				got.note.Comment = strings.TrimPrefix(got.note.Comment+"\n"+text, "\n")
			}
			n++
			return out.Packet(int(got.frame.Iface), &got.frame, got.note)
		}
		if err := r.describe(kind, body); err != nil {
			return err
		}
		switch {
		case kind == blockInterface:
			return out.declare(&r.ifaces[len(r.ifaces)-1].Interface)
		case format == PcapNG:
			out.buf = appendBlock(out.buf, kind, body)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if format == PcapNG {
		return out.flush() // the statistics have been copied
	}
	return out.Close()
}

func (c *Capture) reader() *reader {
	return &reader{info: &Info{}, f: c.File, size: c.Size}
}

// blocks calls each with every block of the file.
func (r *reader) blocks(ctx context.Context, each func(kind uint32, body []byte) error) error {
	for off := int64(0); off < r.size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		kind, body, err := r.block(off)
		if err == nil {
			err = each(kind, body)
		}
		if err != nil {
			return err
		}
		off += int64(len(body)) + blockOverhead
	}
	return nil
}

// declare is Interface for one that may have been declared with the same words: numbers stay as they are in the capture.
func (w *Writer) declare(i *capture.Interface) error {
	switch {
	case w.format == PcapNG:
		w.buf = appendInterface(w.buf, i)
	case len(w.ifaces) == 0:
		w.buf = appendPcapHead(w.buf, i.Link)
	case w.ifaces[0].Link != i.Link:
		return ErrLinkType
	}
	w.ifaces = append(w.ifaces, *i)
	w.stats = append(w.stats, Stats{})
	return nil
}

// appendBlock appends a block as it was read.
func appendBlock(b []byte, kind uint32, body []byte) []byte {
	n := uint32(len(body) + blockOverhead)
	b = u32(u32(b, kind), n)
	return u32(append(b, body...), n)
}

// sectionComment returns the comment of a section's head.
func sectionComment(body []byte) (text string) {
	c := wire.Cut(body)
	c.Skip(16)
	options(&c, func(code uint16, v []byte) {
		if code == optComment {
			text = string(v)
		}
	})
	return text
}

// redactedComment says in a section's comment that it is redacted.
func redactedComment(said, comment string) string {
	if rest, ok := bytes.CutPrefix([]byte(comment), []byte(`{"weir":1,`)); ok {
		return `{"weir":1,"redacted":true,` + string(rest)
	}
	return said + "; " + comment
}
