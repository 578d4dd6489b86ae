package dissect

import (
	"bytes"

	"weir/wire"
)

// probeXMPP recognises the opening of a stream, behind an XML declaration perhaps, and stanzas midway.
func probeXMPP(_ wire.Dir, head []byte) Guess {
	if g := startsFold(head, "<?xml "); g == Maybe {
		return Maybe
	} else if g == Yes {
		end := bytes.Index(head, []byte("?>"))
		if end < 0 {
			if len(head) > 200 {
				return No
			}
			return Maybe
		}
		if end > 200 {
			return No
		}
		head = bytes.TrimLeft(head[end+2:], " \r\n\t")
		if len(head) == 0 {
			return Maybe
		}
		return startsFold(head, "<stream:stream ")
	}
	return startsFold(head, "<stream:stream ", "<stream:features>", "</stream:stream>", "<iq type=", "<iq id=", "<iq to=", "<iq from=", "<iq xml:lang=", "<presence to=", "<presence xml:lang=", "<presence from=",
		"<message to=", "<message from=", "<message xml:lang=", "<message type=", "<starttls xmlns=")
}
