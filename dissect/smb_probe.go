package dissect

import "weir/wire"

// probeSMB recognises a message of any version behind its length.
func probeSMB(_ wire.Dir, head []byte) Guess {
	for i, c := range head[:min(len(head), 8)] {
		switch {
		case i == 0 && c != 0, i == 4 && c < 0xfc, i == 5 && c != 'S', i == 6 && c != 'M', i == 7 && c != 'B':
			return No
		}
	}
	if len(head) < 8 {
		return Maybe
	}
	if n := int(head[1])<<16 | int(head[2])<<8 | int(head[3]); n < smb1Header {
		return No
	}
	return Yes
}
