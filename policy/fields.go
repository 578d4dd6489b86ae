package policy

// Fields are the values of one message, as far as it has come. They are the caller's, who uses them for one message after another, by one goroutine at a time;
// they own their memory. Values are added as the message comes, in pieces if need be.
type Fields struct {
	Complete bool // no more values will come of fields that the policy asks for

	values []value
	text   []byte
	over   bool // there were more values, or longer ones, than are kept
}

// value is one value of a field.
type value struct {
	field  int32
	number uint32
	at, to int  // in Fields.text
	open   bool // more of it will come
	cut    bool // more of it was there and is not known
}

// Limits of a message, ours. Of what is beyond them it is only known that it is there.
const (
	maxValues = 1024
	maxText   = 256 << 10 // bytes of all values
)

// Reset makes f those of a new message.
func (f *Fields) Reset() {
	f.Complete, f.over = false, false
	f.values, f.text = f.values[:0], f.text[:0]
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
		f.values = append(f.values, value{field: int32(field), number: number, at: len(f.text), to: len(f.text)})
	}
	v := &f.values[i]
	v.open, v.cut = more, v.cut || cut
	need := len(text)
	if v.to != len(f.text) {
		need += v.to - v.at // others came between its pieces
	}
	if len(f.text)+need > maxText {
		v.cut, f.over = true, true
		return
	}
	if v.to != len(f.text) {
		at := len(f.text)
		f.text = append(f.text, f.text[v.at:v.to]...)
		v.at = at
	}
	f.text = append(f.text, text...)
	v.to = len(f.text)
}
