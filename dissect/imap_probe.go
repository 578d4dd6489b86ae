package dissect

import (
	"bytes"

	"weir/wire"
)

const maxTag = 32 // bytes of an IMAP tag that a probe believes in

// imapFirst are commands that a client begins with.
var imapFirst = []string{"capability", "login ", "authenticate ", "starttls", "noop", "id ", "logout", "select ", "examine ", "list ", "namespace", "enable ", "compress deflate", "uid ", "idle", "status "}

// probeIMAP knows a server by its greeting, a client by a command behind a tag.
func probeIMAP(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToClient {
		return startsFold(head, "* ok ", "* preauth ", "* bye ", "* ok\r\n", "* ok[", "* capability ")
	}
	i := bytes.IndexByte(head, ' ')
	tag := head
	if i >= 0 {
		tag = head[:i]
	}
	if len(tag) == 0 || len(tag) > maxTag {
		return No
	}
	digit := false
	for _, c := range tag {
		if !isTagByte(c) {
			return No
		}
		digit = digit || '0' <= c && c <= '9'
	}
	if i < 0 {
		return Maybe
	}
	if !digit && len(tag) > 4 {
		return No
	}
	return commands(head[i+1:], imapFirst, nil)
}

func isTagByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-' || c == '$' || c == '#'
}
