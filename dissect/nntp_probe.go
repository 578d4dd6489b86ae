package dissect

import (
	"weir/wire"
)

// Commands that tell a client of NNTP, and those that others have too.
var (
	nntpMine   = []string{"mode reader", "mode stream", "group ", "authinfo ", "listgroup ", "article ", "xover ", "over ", "ihave ", "newnews ", "newgroups ", "list active", "list overview.fmt", "xhdr ", "takethis "}
	nntpShared = []string{"capabilities", "date", "list", "help", "starttls", "quit"}
)

func probeNNTP(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToServer {
		return commands(head, nntpMine, nntpShared)
	}
	return greeting(head, []int{200, 201}, []string{"nntp", "news", "posting"}, nil, []int{381, 281, 480, 211, 215, 224, 221})
}
