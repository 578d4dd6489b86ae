package policy

// Fields are the values of one message, as far as it has come. They are the caller's, who uses them for one message after another, by one goroutine at a time;
// they own their memory. Values are added as the message comes, in pieces if need be. Being asked about them is a use, too: what is found out of
// a value on the way is kept until Reset.
type Fields struct {
	Complete bool // no more values will come of fields that the policy asks for

	values []value
	text   []byte // of all values, and of their readings
	spans  []span // readings
	added  int    // bytes of values
	over   bool   // there were more values, or longer ones, than are kept
}

// value is one value of a field.
type value struct {
	field  int32
	number uint32
	at     span
	open   bool // more of it will come
	cut    bool // more of it was there and is not known
	read   [2]reading
}

// span is a piece of Fields.text.
type span struct{ from, to int32 }

// Limits of a message, ours. Of what is beyond them it is only known that it is there: a rule that allows does not match then, one that denies does.
const (
	maxValues = 1024
	maxText   = 256 << 10 // bytes of all values
	maxRead   = 1 << 20   // bytes of their readings
)

// Reset makes f those of a new message.
func (f *Fields) Reset() {
	f.Complete, f.over, f.added = false, false, 0
	f.values, f.text, f.spans = f.values[:0], f.text[:0], f.spans[:0]
}

// Add adds a piece of a value; text is copied. Pieces of a value come in order, and have the same number, which no other value of the
// message has. more says that further pieces will come; cut, that there are some which nobody has seen.
func (f *Fields) Add(field int, number uint32, text []byte, more, cut bool) {
	i := len(f.values) - 1
	for i >= 0 && (f.values[i].number != number || f.values[i].field != int32(field)) {
		i--
	}
	if i < 0 {
		if len(f.values) == maxValues {
			f.over = true
			return
		}
		i = len(f.values)
		f.values = append(f.values, value{field: int32(field), number: number, at: f.end()})
	}
	v := &f.values[i]
	v.open, v.cut, v.read = more, v.cut || cut, [2]reading{}
	if f.added += len(text); f.added > maxText || len(f.text) > 2*(maxText+maxRead) {
		v.cut, f.over = true, true
		return
	}
	if int(v.at.to) != len(f.text) { // something came between its pieces
		old := f.of(v.at)
		v.at = f.end()
		f.text = append(f.text, old...)
	}
	f.text = append(f.text, text...)
	v.at.to = int32(len(f.text))
}

func (f *Fields) of(s span) []byte { return f.text[s.from:s.to] }

func (f *Fields) end() span { return span{int32(len(f.text)), int32(len(f.text))} }

// Bytes returns how many bytes of values came.
func (f *Fields) Bytes() int { return f.added }

// Size returns the bytes that f takes.
func (f *Fields) Size() int {
	return cap(f.text) + cap(f.values)*valueSize + cap(f.spans)*spanSize
}

// Bytes of what Fields are made of.
const valueSize, spanSize = 64, 8
