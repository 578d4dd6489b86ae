package dissect

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"weir/wire"
)

// bsonElem writes an element: of a string, a number, or a document that is written already.
func bsonElem(name string, v any) []byte {
	le := binary.LittleEndian
	switch v := v.(type) {
	case string:
		b := append([]byte("\x02"+name+"\x00"), le.AppendUint32(nil, uint32(len(v)+1))...)
		return append(append(b, v...), 0)
	case int:
		return le.AppendUint32([]byte("\x10"+name+"\x00"), uint32(v))
	case []byte:
		return append([]byte("\x03"+name+"\x00"), v...)
	}
	panic(v)
}

func bsonDoc(elems ...[]byte) []byte {
	body := slices.Concat(elems...)
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(body)+5)), append(body, 0)...)
}

// mongoFrame writes a message.
func mongoFrame(id, to, code int, body []byte) string {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(16+len(body)))
	b = le.AppendUint32(b, uint32(id))
	b = le.AppendUint32(b, uint32(to))
	return string(append(le.AppendUint32(b, uint32(code)), body...))
}

// mongoPacked writes it compressed.
func mongoPacked(t testing.TB, kind byte, id, to, code int, body []byte) string {
	le := binary.LittleEndian
	b := append(le.AppendUint32(le.AppendUint32(nil, uint32(code)), uint32(len(body))), kind)
	switch kind {
	case 1:
		b = append(b, s2.EncodeSnappy(nil, body)...)
	case 2:
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		w.Write(body)
		w.Close()
		b = append(b, z.Bytes()...)
	case 3:
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		b = w.EncodeAll(body, b)
	}
	return mongoFrame(id, to, mongoCompressed, b)
}

// TestMongoLarge plays messages that are larger than what is waited for, as they are and compressed, whole and in pieces: all that they say is told as
// of small ones, and what they are about too.
func TestMongoLarge(t *testing.T) {
	long := noise(900 << 10) // it stays that long
	var batch, found, seq []byte
	var told, all string
	var docs []string
	for i := range 3000 {
		d := bsonDoc(bsonElem("_id", i), bsonElem("card", fmt.Sprintf("number %d", i)), bsonElem("in", bsonDoc(bsonElem("n", i))))
		text := fmt.Sprintf("_id: %d card: number %d in: {n: %d } ", i, i, i)
		batch = append(batch, bsonElem(fmt.Sprint(i), d)...)
		told += fmt.Sprintf("%d: {%s} ", i, text)
		seq = append(seq, d...)
		docs = append(docs, text)
	}
	found = bsonDoc(bsonElem("cursor", bsonDoc(bsonElem("firstBatch", bsonDoc(batch)), bsonElem("long", long), bsonElem("ns", "shop.orders"))), bsonElem("ok", 1))
	all = "cursor: {firstBatch: {" + told + "} long: " + long + " ns: shop.orders } ok: 1 "
	flags := []byte{0, 0, 0, 0}
	insert := bsonDoc(bsonElem("insert", "orders"), bsonElem("$db", "shop"))
	seq = append(append(binary.LittleEndian.AppendUint32(nil, uint32(4+10+len(seq))), "documents\x00"...), seq...)
	body := slices.Concat(flags, []byte{0}, insert, []byte{1}, seq)
	sum := slices.Concat([]byte{1, 0, 0, 0}, []byte{0}, insert, []byte{1}, seq, []byte("\x00sum"))
	answer := slices.Concat(flags, []byte{0}, found)
	request := func(e *heard) string { return strings.Join(e.lines("mongodb.request"), "") }
	for _, c := range []struct {
		name   string
		turns  []turn
		values []string // after the message's number and the field's name
	}{
		{"insert", []turn{{toS, mongoFrame(7, 0, mongoMsg, body)}}, nil},
		{"insert with a checksum", []turn{{toS, mongoFrame(7, 0, mongoMsg, sum)}}, nil},
		{"insert, zlib", []turn{{toS, mongoPacked(t, 2, 7, 0, mongoMsg, body)}}, nil},
		{"insert, zstd", []turn{{toS, mongoPacked(t, 3, 7, 0, mongoMsg, body)}}, nil},
		{"insert, snappy", []turn{{toS, mongoPacked(t, 1, 7, 0, mongoMsg, body)}}, nil},
		{"find", []turn{{toC, mongoFrame(8, 7, mongoMsg, answer)}}, []string{all}},
		{"find, zlib", []turn{{toC, mongoPacked(t, 2, 8, 7, mongoMsg, answer)}}, []string{all}},
		{"find, zstd", []turn{{toC, mongoPacked(t, 3, 8, 7, mongoMsg, answer)}}, []string{all}},
		{"older find", []turn{{toC, mongoFrame(8, 7, mongoReply, append(make([]byte, 20), found...))}}, []string{all}},
		{"older insert", []turn{{toS, mongoFrame(8, 0, mongoInsert, append([]byte("\x00\x00\x00\x00shop.orders\x00"), found...))}}, []string{all}},
	} {
		for _, size := range []int{0, 1 << 12, 1447} {
			e, err := piecemeal(t, &MongoDB, newEnv(), append(c.turns, turn{toS, mongoFrame(99, 0, mongoMsg, slices.Concat(flags, []byte{0}, bsonDoc(bsonElem("ping", 1))))}), size)
			if err != nil || len(e.codes()) > 0 {
				t.Errorf("%s in pieces of %d: %v, %v", c.name, size, err, e.codes())
				continue
			}
			lines := strings.Join(e.lines(), "\n")
			for _, v := range c.values {
				if !strings.Contains(lines, v) {
					t.Errorf("%s in pieces of %d: a value is missing", c.name, size)
				}
			}
			if strings.Contains(c.name, "insert") && (!strings.HasSuffix(strings.Join(e.lines("mongodb.collection"), ""), " orders") || !strings.Contains(lines, "command")) {
				t.Errorf("%s in pieces of %d: not named", c.name, size)
			}
			if strings.HasPrefix(c.name, "insert") {
				r := request(e)
				for _, d := range docs {
					i := strings.Index(r, d)
					if i < 0 {
						t.Errorf("%s in pieces of %d: no %q", c.name, size, d)
						break
					}
					r = r[i+len(d):]
				}
			}
			if !strings.Contains(lines, "ping: 1") {
				t.Errorf("%s in pieces of %d: what follows is not read", c.name, size)
			}
		}
	}
}

// TestMongoLargeGap loses bytes inside a large message: what follows them is told as it came, and the next message is read.
func TestMongoLargeGap(t *testing.T) {
	body := slices.Concat([]byte{0, 0, 0, 0, 0}, bsonDoc(bsonElem("insert", "orders"), bsonElem("text", noise(1<<20))))
	for name, text := range map[string]string{"plain": mongoFrame(7, 0, mongoMsg, body), "zlib": mongoPacked(t, 2, 7, 0, mongoMsg, slices.Concat(body, body))} {
		d, e := MongoDB.New(&MongoDB, newEnv()), newHeard()
		half := len(text) / 2
		pr, err := d.Feed(toS, []byte(text[:half]), e.hear)
		lost := half - pr.Used + 100
		if err != nil || !d.Gap(toS, lost, e.hear) {
			t.Fatalf("%s: %v", name, err)
		}
		rest := text[pr.Used+lost:] + mongoFrame(9, 0, mongoMsg, slices.Concat([]byte{0, 0, 0, 0, 0}, bsonDoc(bsonElem("ping", 1))))
		if pr, err = d.Feed(toS, []byte(rest), e.hear); err != nil || pr.Used != len(rest) || !strings.Contains(strings.Join(e.lines(), "\n"), "ping: 1") {
			t.Errorf("%s: %v, %d of %d", name, err, pr.Used, len(rest))
		}
		if name == "plain" && !strings.Contains(strings.Join(e.lines("mongodb.data"), ""), text[len(text)-100:]) {
			t.Errorf("%s: what follows is not told", name)
		}
	}
}

// FuzzMongoWalk: a message in pieces says what it says whole.
func FuzzMongoWalk(f *testing.F) {
	for _, c := range []struct {
		code uint16
		body []byte
	}{
		{mongoMsg, slices.Concat([]byte{0, 0, 0, 0, 0}, bsonDoc(bsonElem("insert", "orders"), bsonElem("client", bsonDoc(bsonElem("driver", bsonDoc(bsonElem("name", "x"))))), bsonElem("$db", "shop")))},
		{mongoMsg, slices.Concat([]byte{1, 0, 0, 0, 1, 18, 0, 0, 0, 'a', 0}, bsonDoc(bsonElem("n", 1)), []byte("\x00sum"))},
		{mongoReply, append(make([]byte, 20), bsonDoc(bsonElem("ok", 1), []byte("\x0ba\x00b\x00c\x00"))...)},
		{mongoQuery, append([]byte("\x00\x00\x00\x00a.$cmd\x00\x00\x00\x00\x00\x00\x00\x00\x00"), bsonDoc(bsonElem("ping", 1))...)},
		{mongoUpdate, append([]byte("\x00\x00\x00\x00a.b\x00\x00\x00\x00\x00"), bsonDoc(bsonElem("x", bsonDoc()))...)},
		// Names as long as they may be, and longer.
		{mongoUpdate, append([]byte("\x00\x00\x00\x00a."+strings.Repeat("b", mongoMaxName-2)+"\x00\x00\x00\x00\x00"), bsonDoc(bsonElem("x", 1))...)},
		{mongoUpdate, []byte("\x00\x00\x00\x00a." + strings.Repeat("b", 600))},
		{mongoMsg, append([]byte("\x00\x00\x00\x00\x01\x90\x01\x00\x00"+strings.Repeat("b", 300)+"\x00"), make([]byte, 95)...)},
	} {
		f.Add(c.code, c.body, uint8(0))
		f.Add(c.code, c.body, uint8(1))
	}
	f.Fuzz(func(t *testing.T, code uint16, body []byte, size uint8) {
		if len(body) > 16<<10 {
			return
		}
		walk := func(size int) *heard {
			e, u := newHeard(), unit{id: 1, tx: 1}
			env := newEnv()
			x := mongoWalk{code: code, left: int64(len(body)), field: mongoRequestDoc}
			for from, to := 0, 0; to < len(body) || from == to && to == 0; {
				to = min(to+size, len(body))
				x.t = env.teller(&MongoDB, wire.ToServer, &u, e.hear)
				n, need := x.feed(slices.Clone(body[from:to]))
				if n < 0 || n > to-from || need < 0 || need > 0 && to == len(body) {
					t.Fatalf("%d of %d, %d more needed", n, to-from, need)
				}
				if from += n; need == 0 && x.left > 0 {
					t.Fatalf("%d left, and none needed", x.left)
				}
				x.t.flush(false, false)
				if len(body) == 0 {
					break
				}
			}
			x.t.joinEnd(&x.text)
			x.t.flush(true, true)
			return e
		}
		whole, pieces := walk(max(len(body), 1)), walk(int(size)+1)
		if got, want := strings.Join(pieces.lines(), "\n"), strings.Join(whole.lines(), "\n"); got != want {
			t.Fatalf("in pieces\n%q\nwhole\n%q", got, want)
		}
		if got, want := pieces.codes(), whole.codes(); !slices.Equal(got, want) {
			t.Fatalf("in pieces %v, whole %v", got, want)
		}
	})
}
