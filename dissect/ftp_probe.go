package dissect

import "weir/wire"

// probeFTP knows a client by commands that no other protocol has, a server by what it calls itself, or by how it goes on. USER is what
// others begin with too: what follows tells.
func probeFTP(dir wire.Dir, head []byte) Guess {
	if dir == wire.ToClient {
		return greeting(head, []int{220, 120, 421, 530}, []string{"ftp", "filezilla"}, []string{"smtp"}, []int{331, 332, 230, 211, 215, 234, 334, 530, 200, 202, 500})
	}
	return commands(head, ftpMine, ftpShared)
}

// Commands that tell a client of FTP, and those that others have too.
var (
	ftpMine = []string{"auth tls", "auth ssl", "auth tls-c", "auth tls-p", "auth gssapi", "feat", "syst", "opts utf8 ", "pasv", "epsv", "epsv ", "type i", "type a", "cwd ", "pwd", "xpwd",
		"pbsz 0", "prot p", "eprt ", "port ", "site ", "stor ", "mdtm ", "acct ", "clnt "}
	ftpShared = []string{"user ", "pass ", "host ", "noop", "quit", "list", "stat"}
)
