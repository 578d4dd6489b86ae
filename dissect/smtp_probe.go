package dissect

import "weir/wire"

// probeSMTP knows a client by its greeting or the beginning of a mail, a server by what it calls itself, or by how it goes on.
func probeSMTP(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToServer {
		return startsFold(head, "ehlo ", "helo ", "lhlo ", "mail from:", "ehlo\r\n", "helo\r\n", "ehlo\n", "helo\n", "rcpt to:")
	}
	return greeting(head, []int{220, 421, 554}, []string{"smtp", "lmtp"}, []string{"ftp"}, []int{250, 354, 221, 550, 502, 503})
}
