package weir_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/dissect"
	"weir/wire"
)

// h2Talk collects what the HTTP/2 dissector says: values by message and field, notes.
type h2Talk struct {
	messages []*h2Message
	byID     map[uint64]*h2Message
	notes    []string
	err      error
}

type h2Message struct {
	dir    wire.Dir
	values map[string]string
	end    bool
}

func (k *h2Talk) hear(m *dissect.Message) {
	h := k.byID[m.ID]
	if h == nil {
		h = &h2Message{dir: m.Dir, values: map[string]string{}}
		k.byID[m.ID] = h
		k.messages = append(k.messages, h)
	}
	for _, p := range m.Parts {
		if p.View == dissect.ViewPlain {
			h.values[m.Protocol.Fields[p.Field].Name] += string(p.Bytes)
		}
	}
	for _, n := range m.Notes {
		k.notes = append(k.notes, n.Code)
	}
	h.end = h.end || m.End
}

// has reports whether a value of a field holds text.
func (k *h2Talk) has(field, text string) bool {
	return slices.ContainsFunc(k.messages, func(m *h2Message) bool {
		v, ok := m.values[field]
		return ok && strings.Contains(v, text)
	})
}

func newH2Talk() (*h2Talk, *dissect.Env) {
	env := &dissect.Env{Limits: dissect.DefaultLimits, Want: make(dissect.Wants, len(dissect.FieldNames))}
	for i := range env.Want {
		env.Want[i] = true
	}
	return &h2Talk{byID: map[uint64]*h2Message{}}, env
}

// talkHTTP2 plays turns as the engine does, on a connection whose beginning both ends saw.
func talkHTTP2(turns []httpTurn) *h2Talk {
	k, env := newH2Talk()
	d := dissect.HTTP2.New(&dissect.HTTP2, env)
	begin := []httpTurn{
		{wire.ToServer, []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
		{wire.ToClient, []byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00")},
	}
	var left [2][]byte
	for _, tn := range append(begin, turns...) {
		in := append(left[tn.dir], tn.data...)
		p, err := d.Feed(tn.dir, in, k.hear)
		left[tn.dir] = in[p.Used:]
		if err != nil {
			k.err = err
			return k
		}
	}
	d.Close(wire.ToServer, k.hear)
	d.Close(wire.ToClient, k.hear)
	return k
}

// frameNotes are those that say that a frame is wrong; what its content is worth is another matter.
var frameNotes = []string{"http2.bad_frame_size", "http2.bad_stream_id", "http2.bad_padding", "http2.bad_settings",
	"http2.bad_window_update", "http2.bad_push", "http2.header_block_broken"}

type frameCase struct {
	ID    string
	Error []int
	Wire  string
	Frame *struct {
		Type    uint8
		Payload struct {
			Data    string
			Debug   string `json:"additional_debug_data"`
			Padding string
		} `json:"frame_payload"`
	}
}

// TestHTTP2Frames: frames that are wrong are noted, others are not, and what they carry is found.
func TestConformanceHTTP2Frames(t *testing.T) {
	met, all := 0, 0
	eachJSON(t, corpus(t)+"/http2/frames.jsonl", func(c frameCase) {
		all++
		k := talkHTTP2([]httpTurn{{wire.ToServer, unhex(t, c.Wire)}})
		if strings.HasPrefix(c.ID, "push_promise/") {
			k = talkHTTP2([]httpTurn{{wire.ToClient, unhex(t, c.Wire)}})
		}
		noted := slices.ContainsFunc(k.notes, func(n string) bool { return slices.Contains(frameNotes, n) })
		ok := noted == (c.Error != nil)
		if c.Frame != nil {
			p := c.Frame.Payload
			ok = ok && (p.Data == "" || k.has("http.request.body", p.Data)) && (p.Debug == "" || k.has("http2.payload", p.Debug)) &&
				(p.Padding == "" || k.has("http2.payload", p.Padding))
		}
		if ok {
			met++
			return
		}
		t.Logf("%s: error %v, notes %v, %v", c.ID, c.Error, k.notes, k.err)
	})
	score(t, "http2_frames", met, all)
}

type hpackStory struct {
	Cases []struct {
		Seq     int  `json:"seqno"`
		Size    *int `json:"header_table_size"`
		Wire    string
		Headers []map[string]string
	}
}

// TestHTTP2Hpack: header blocks, as HEADERS frames of one connection, give the header lists that they stand for.
func TestConformanceHTTP2Hpack(t *testing.T) {
	dir := corpus(t)
	files, err := filepath.Glob(dir + "/http2/hpack/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no header blocks: %v", err)
	}
	met, all := 0, 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var story hpackStory
		if err := json.Unmarshal(raw, &story); err != nil {
			t.Fatal(err)
		}
		var turns []httpTurn
		to := wire.ToServer
		for i, c := range story.Cases {
			if hasHeader(c.Headers, ":status") {
				to = wire.ToClient
			}
			if c.Size != nil {
				set := []byte{0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}
				binary.BigEndian.PutUint32(set[11:], uint32(*c.Size))
				turns = append(turns, httpTurn{to.Other(), set})
			}
			turns = append(turns, httpTurn{to, headersFrames(uint32(2*i+1), unhex(t, c.Wire))})
		}
		k := talkHTTP2(turns)
		heard := slices.DeleteFunc(k.messages, func(m *h2Message) bool { return m.values["http2.stream_id"] == "" })
		for i, c := range story.Cases {
			all++
			why := "not heard"
			if i < len(heard) {
				why = listDiffers(heard[i], c.Headers)
			}
			if why == "" {
				met++
				continue
			}
			t.Logf("%s %d: %s; notes %v %v", filepath.Base(file), c.Seq, why, k.notes, k.err)
		}
	}
	score(t, "http2_hpack", met, all)
}

func hasHeader(list []map[string]string, name string) bool {
	return slices.ContainsFunc(list, func(h map[string]string) bool { _, ok := h[name]; return ok })
}

// headersFrames puts a header block into frames of at most 16 KiB.
func headersFrames(stream uint32, block []byte) (out []byte) {
	kind, flags := byte(1), byte(1)
	for first := true; first || len(block) > 0; first = false {
		n := min(len(block), 16<<10)
		if n == len(block) {
			flags |= 4
		}
		out = append(out, byte(n>>16), byte(n>>8), byte(n), kind, flags)
		out = binary.BigEndian.AppendUint32(out, stream)
		out = append(out, block[:n]...)
		block, kind, flags = block[n:], 9, 0
	}
	return out
}

// listDiffers says what of a header list was not heard; "" if nothing.
func listDiffers(m *h2Message, list []map[string]string) string {
	var head strings.Builder
	for _, h := range list {
		for name, v := range h {
			if field := map[string]string{":method": "http.method", ":path": "http.uri", ":status": "http.status"}[name]; field != "" {
				if m.values[field] != v {
					return fmt.Sprintf("%s is %q, want %q", field, m.values[field], v)
				}
			} else if name == ":authority" {
				if host, _, _ := strings.Cut(strings.ToLower(v), ":"); m.values["http.host"] != host {
					return fmt.Sprintf("host is %q, want %q", m.values["http.host"], host)
				}
			} else if name != ":scheme" {
				head.WriteString(name + ": " + v + "\r\n")
			}
		}
	}
	if got := m.values["http.request.header"] + m.values["http.response.header"]; got != head.String() {
		return fmt.Sprintf("headers are %q, want %q", got, head.String())
	}
	return ""
}

// TestHTTP2Content: what rules for HTTP/2 find in captures stands in the field that they name.
func TestConformanceHTTP2Content(t *testing.T) {
	dir := corpus(t)
	met, all := 0, 0
	eachLine(t, dir+"/content/cases.jsonl", func(line []byte) {
		var c struct {
			contentCase
			Proto string
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		if c.Proto != "http2" && c.Proto != "doh2" || !c.Detect {
			return
		}
		all++
		if contentHits(t, dir, []*contentCase{&c.contentCase})["case.0"] {
			met++
			return
		}
		t.Logf("%s: %s is not found in %s", c.Test, c.Hex, c.Where)
	})
	score(t, "http2_content", met, all)
}
